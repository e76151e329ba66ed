//! Devices beside cables: cards of guests, a switch, and XDP programs on them.

pub mod cards;
pub mod openvswitch;
pub mod xdp;
