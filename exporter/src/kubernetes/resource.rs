//! What can be listed and watched: how it is asked for, and what is kept of each object.

use std::fmt::Debug;

/// Objects of one kind.
pub(crate) trait Resource {
    /// What is kept of one.
    type Object: Debug;
    /// What tells one from the others for as long as it is there.
    type Key: Debug;

    /// Their word in paths, in rules of RBAC, and in messages.
    const PLURAL: &'static str;
    /// The word for one.
    const SINGULAR: &'static str;
    /// What they are asked for, as messages begin.
    const PURPOSE: &'static str;
    /// `Accept` of a list.
    const LIST: &'static str;
    /// `Accept` of a watch, whose objects come one by one.
    const WATCH: &'static str;
    /// Most that can be right: more are an answer to another question.
    const MOST: usize;

    /// Which of them, as a field selector; all without one.
    fn selector(&self) -> Option<String>;

    /// Which they are, for a log: `pods of node a`.
    fn describe(&self) -> String;

    /// What is kept of one, by its JSON.
    ///
    /// # Errors
    /// [`Unreadable`] where it has not the form of an object at all.
    fn read(&self, json: &str) -> Result<Read<Self::Object, Self::Key>, Unreadable>;
}

/// What was read of an object.
#[derive(Debug)]
pub(crate) struct Read<O, K> {
    /// `metadata.resourceVersion`, as it stands there.
    pub(crate) version: Option<String>,
    /// `None` where it cannot be told from others.
    pub(crate) key: Option<K>,
    /// The same.
    pub(crate) object: Option<O>,
}

/// Bytes that are none of these forms.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it is no JSON of the expected form ({0})")]
    Json(#[from] serde_json::Error),
    #[error("it has no usable resourceVersion")]
    Version,
    #[error("it says nothing of where the list goes on that could be sent back")]
    Continue,
}
