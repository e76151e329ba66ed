//! What a child says on standard error, while it runs and after.

use std::io::{BufRead as _, BufReader};
use std::process::ChildStderr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Collects what a child says on standard error.
#[derive(Debug)]
pub(crate) struct Diagnostics {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Diagnostics {
    pub(crate) fn follow(stderr: ChildStderr) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&text);
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut text = shared.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        });
        Self {
            text,
            reader: Some(reader),
        }
    }

    pub(crate) fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the last word of a child that has ended.
    pub(crate) fn end(&mut self) {
        // The reader does not panic, and its result carries nothing.
        self.reader.take().map(JoinHandle::join).transpose().ok();
    }
}
