//! The commands beside `serve`. Each loads programs of its own, or none.

pub mod capture;
pub mod doctor;
pub mod drops;
pub mod live;
pub mod top;
pub mod trace;
