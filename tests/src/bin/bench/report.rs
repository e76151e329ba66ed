//! From files of results to the page and its pictures. What makes them is pure: results in, text out.

pub(crate) mod model;
