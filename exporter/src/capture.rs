//! `capture`: dropped packets into a pcapng file, a pipe, or Wireshark. From the kernel's buffers to blocks; nothing here
//! reads what `serve` counts.
//!
//! - `arguments`, `extcap`: what is asked for, by whom
//! - `filter`, `sites`: which packets, and what is said of them
//! - `link`, `order`, `pcapng`: as which bytes, in which order
//! - `rotation`, `output`, `writer`: where to
//! - `stop`, `run`: until when; `host`, `error`: on which host, and why not

pub mod arguments;
pub mod error;
pub mod extcap;
pub mod filter;
pub mod link;
pub mod order;
pub mod output;
pub mod pcapng;
pub mod rotation;
pub mod run;
pub mod sites;
pub mod stop;
pub mod writer;

mod host;
