//! `top`: findings, subnets, workloads, flows and drop sites on a terminal.
//!
//! Pure but for `live`, `moment` and `once`: `rows` makes rates from two readings, `table` orders and fits, `columns` say what is in the
//! tables, `view` knows what is shown and what keys do, `format` makes texts, `recipes` commands, `screen` draws.

pub mod columns;
pub mod format;
pub mod live;
mod moment;
mod once;
pub mod rows;
pub mod screen;
pub mod table;
pub mod view;
