//! `capture`: dropped packets into a pcapng file, a pipe, or Wireshark. From the kernel's buffers to blocks; nothing here
//! reads what `serve` counts.
//!
//! - `extcap`: what Wireshark asks
//! - `filter`: which packets; `order`: in which order
//! - `file`: as which bytes, with what said of them, and where to
//! - `run`: until when; `error`: why not

pub mod error;
pub mod extcap;
pub mod file;
pub mod filter;
pub mod networks;
pub mod order;
pub mod run;
