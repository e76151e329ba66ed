//! The exporter: one direction from the kernel to the scrape. A module uses what is before it in this list, never what is
//! after it.
//!
//! - `files` reads what somebody names; `threads`, `worker`, `signals` and `throttle`: the process and its log
//! - `config`, `numbering`: what is wanted, and numbers for its names; `yaml` reads what they name
//! - `kernel`: loads the programs and reads their maps
//! - `coverage`, `snapshot`: what runs and what was collected, as values; `sites` names where packets were dropped
//! - `labels`: names for it; `classes` those of drops, `ledger` what was counted under which, `cardinality` their bound
//! - `families`: the metric table applied; `status` the exporter's own state
//! - `drops`, `flows`: rows of drops and live flows for people
//! - `setup`: between configuration and kernel, and between kernel and metrics
//! - `collect`, `reload`: when asked
//! - `prometheus` encodes, `page` draws, `expositions` has each made once; `api` answers in JSON, `http` the rest, and `web`
//!   serves it, over TLS if asked to, to those who may; `watch` has files read again that change
//! - `otlp`: pushes; `pushes` counts what became of it, and `served` what `web` did. `collect` keeps for it what reloads did to
//!   labels (`otlp::delta`)
//! - `capture`: dropped packets into a file; it shares the kernel and the names with what is above, nothing else
//! - `cli`, `manual`, `doctor`, `systemd`, `panics`, `run`, `live`: the program around it; `drops::live` and `top` show what they read

pub mod files;
pub mod signals;
pub mod threads;
pub mod throttle;
pub mod watched;
pub mod worker;

mod memory;
mod yaml;

pub mod config;
pub mod numbering;

pub mod kernel;

pub mod coverage;
pub mod snapshot;

pub mod sites;

pub mod cardinality;
pub mod classes;
pub mod families;
pub mod labels;
pub mod ledger;

pub mod drops;
pub mod flows;
#[cfg(test)]
pub mod samples;
pub mod status;

pub mod setup;

pub mod process;
pub mod pushes;
pub mod served;

pub mod collect;
pub mod reload;

pub mod page;
pub mod prometheus;

pub mod api;
pub mod expositions;
pub mod http;
pub mod watch;
pub mod web;

pub mod otlp;

pub mod capture;

pub mod cli;
pub mod doctor;
pub mod live;
pub mod manual;
pub mod panics;
pub mod run;
pub mod systemd;
pub mod top;
pub mod trace;
