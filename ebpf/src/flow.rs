//! Flows: their state in socket storage, what is counted of them, and what is said of one.

pub(crate) mod accept_queues;
pub(crate) mod adopt;
pub(crate) mod ahead;
pub(crate) mod events;
pub(crate) mod fold;
mod held;
pub(crate) mod listeners;
pub(crate) mod record;
pub(crate) mod retransmissions;
pub(crate) mod state;
pub(crate) mod storage;
pub(crate) mod tables;
