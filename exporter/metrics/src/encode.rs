//! What the families look like to others: expositions, messages, the page.

pub mod otlp;
pub mod page;
pub mod prometheus;
