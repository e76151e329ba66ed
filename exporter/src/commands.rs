//! The commands beside `serve`. Each loads programs of its own, or none; `remote` asks an exporter that runs, `subnets` a cluster.

pub mod capture;
pub mod cardinality;
pub mod check;
pub mod doctor;
pub mod drops;
pub mod explain;
pub mod live;
pub mod record;
pub mod remote;
pub mod subnets;
pub mod top;
pub mod trace;
pub mod words;
