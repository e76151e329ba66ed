//! A trace: what it consists of, and the names that its records are shown with. `trace` gives it a form.

pub mod item;
pub mod names;
