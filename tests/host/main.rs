//! Proves the pure part of the exporter without a kernel: a snapshot and a configuration in, metric families and their text out.

mod capacity;
mod contract;
mod dashboards;
mod fuzz;
mod golden;
mod hostile;
mod manual;
mod openapi;
mod otlp;
mod page;
mod properties;
mod protobuf;
mod readers;
mod reference;
mod runbooks;
mod sample;
mod trace;
