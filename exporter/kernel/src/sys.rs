//! Calls of the kernel and the C library that no crate offers: the unsafe code of user space.

pub mod capabilities;
pub mod ethtool;
pub(crate) mod mapped;
pub mod memory;
pub(crate) mod object;
pub mod passed;
pub mod socket;
mod sockets;
pub(crate) mod syscall;
