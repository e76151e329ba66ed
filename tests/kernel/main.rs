//! Proves the exporter against the kernel: real sockets, real drops, and the kernel's own counters as the truth.
//!
//! Every test has its own subnets and an exporter of its own, and reads the series of its subnets, so tests run beside
//! each other; those that load the machine run alone.

use tests::kernel::account;

mod accept_queues;
mod acks;
mod adoption;
mod api;
mod births;
mod blind;
mod blocked;
mod capture;
mod churn;
mod connects;
mod degraded;
mod drop_meaning;
mod drop_protocols;
mod drop_table;
mod drops;
mod dump;
mod facts;
mod failures;
mod findings;
mod formats;
mod hardware;
mod healthy;
mod host;
mod hostile;
mod interrupts;
mod listeners;
mod local_loss;
mod losses;
mod network;
mod otlp;
mod overflow;
mod page;
mod privileges;
mod reasons;
mod reload;
mod retransmits;
mod rtt;
mod shards;
mod sniffers;
mod suite;
mod switches;
mod top;
mod totals;
mod trace;
mod trace_losses;
mod types;
mod views;
mod watch;
mod web;
mod windows;
mod workloads;
mod xdp;
