//! Proves the parts of the exporter without a kernel: a snapshot and a configuration in, metric families and their text out; what asks
//! an API server, against one that is stricter than a real one.

mod capacity;
mod contract;
mod dashboards;
mod fuzz;
mod golden;
mod hostile;
mod kubernetes;
mod manual;
mod openapi;
mod otlp;
mod page;
mod properties;
mod protobuf;
mod readers;
mod reasons;
mod reference;
mod runbooks;
mod sample;
mod trace;
mod workloads;
