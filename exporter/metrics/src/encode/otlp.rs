//! The families as messages of OTLP.
//!
//! `reading` says which values travel, `delta` what they have grown by, `request` and `histogram` make messages of them.

mod attribute;
pub mod delta;
pub mod histogram;
mod owner;
pub mod reading;
pub mod request;
