//! `top`: live flows and drop sites on a terminal.
//!
//! Pure but for `live`: `rows` makes rates from two readings, `view` knows what is shown and what keys do, `format` makes texts,
//! `screen` draws.

pub mod format;
pub mod live;
pub mod rows;
pub mod screen;
pub mod view;
