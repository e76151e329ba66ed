//! From a socket or a packet to its labels, and from labels to a slot.

pub(crate) mod cgroups;
pub(crate) mod devices;
pub(crate) mod groups;
pub(crate) mod packet;
pub(crate) mod ports;
pub(crate) mod recent;
pub(crate) mod slots;
pub(crate) mod workloads;
