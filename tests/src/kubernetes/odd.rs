//! Answers that no good server gives.

use super::serve::HELD;

/// An answer that no good server gives.
#[derive(Clone, Debug)]
pub struct Odd {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    pub(super) is_endless: bool,
    pub(super) is_silent: bool,
}

impl Odd {
    /// This body, as JSON unless a header says otherwise.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            is_endless: false,
            is_silent: false,
        }
    }

    /// With a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The body again and again, for ever.
    pub fn endless(mut self) -> Self {
        self.is_endless = true;
        self
    }

    /// The stream stays open behind it, as a watch that began so.
    pub fn held(self) -> Self {
        self.header(HELD, "1")
    }

    /// Nothing at all.
    pub fn silence() -> Self {
        Self {
            is_silent: true,
            ..Self::new(200, "")
        }
    }
}
