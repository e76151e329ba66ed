//! The program: it joins configuration, kernel and metrics, which do not know each other.
//!
//! - `cli`: the command line and its page; `lifecycle`: the process
//! - `client`: asks others over HTTP; `kubernetes`: an API server, by list and watch
//! - `serve`: collects when asked, serves and pushes
//! - `commands`: what looks at the kernel without serving
#![forbid(unsafe_code)]

pub mod cli;
pub mod client;
pub mod commands;
pub mod kubernetes;
pub mod lifecycle;
pub mod serve;
