//! The columns of each view. What a number means is said in the help (`screen/help`). Pure.

pub mod findings;
pub mod flows;
pub mod groups;
pub mod sites;
