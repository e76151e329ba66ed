//! The exporter: one direction from the kernel to the scrape.
//!
//! `kernel` loads the programs and reads their maps; `collect` does so when asked; `snapshot` is the value it makes, in which
//! `sites` names where packets were dropped; `labels` gives it names (`numbering` knows those of the configuration, `classes` those
//! of drops; `ledger` keeps what was counted under which, `cardinality` bounds them); `families` applies the metric table;
//! `prometheus` encodes; `http` serves. `config` and `cli` say how. A module uses what is before it, never what is after it.

pub mod config;
pub mod numbering;

pub mod kernel;

pub mod snapshot;

pub mod sites;

pub mod cardinality;
pub mod classes;
pub mod families;
pub mod labels;
pub mod ledger;

pub mod process;

pub mod collect;
pub mod reload;

pub mod prometheus;

pub mod http;

pub mod cli;
pub mod doctor;
pub mod run;
