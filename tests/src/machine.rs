//! The machine that tests run on: whose turn it is, how long to wait, what is set.

pub mod certificates;
pub mod cgroups;
pub mod fuzz;
pub mod hostile;
pub mod seccomp;
pub mod settings;
pub mod turn;
pub mod wait;
