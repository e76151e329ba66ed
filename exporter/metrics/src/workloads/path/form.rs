//! What a row of the table of forms says.

/// One way to name a folder.
#[derive(Debug)]
pub struct Form {
    /// Whose it is, in words.
    pub what: &'static str,
    /// A path that ends with it. `ID` stands for 64 hexadecimal digits, `UID` for a UUID, `U_D` for one with underscores, `HASH` for 32
    /// digits.
    pub example: &'static str,
    /// Where it was seen.
    pub seen: Seen,
    pub(super) place: Place,
    /// The part of the folder's name that says who it is; none for a name of another form.
    pub(super) read: fn(&str) -> Option<&str>,
    /// What it means for all that is below it.
    pub(super) means: Means,
}

/// Where the folder has to lie.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Anywhere,
    /// In a folder with one of these names.
    In(&'static [&'static str]),
    /// In the folder of a pod.
    InPod,
}

/// Where a form was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// On a machine of ours, where this version ran.
    Ran(&'static str),
    /// In the program or the manual of this version, which did not run.
    Read(&'static str),
    /// In what somebody's machine showed, in this public report.
    Reported(&'static str),
    /// Nowhere: from memory.
    Memory,
}

/// What a folder means.
#[derive(Clone, Copy, Debug)]
pub(super) enum Means {
    /// A pod, by its UID or hash.
    Pod,
    /// A container of this engine, by its id.
    Container(&'static str),
    /// Somebody of this kind, by name, who owns all that is below.
    Holder(&'static str),
    /// What people do.
    User,
    /// A unit.
    Unit,
    /// A slice that somebody has chosen.
    Slice,
    /// A slice that is there by default.
    DefaultSlice,
    /// A folder that is there by default.
    DefaultFolder,
}

impl Form {
    pub(super) const fn new(
        what: &'static str,
        example: &'static str,
        seen: Seen,
        means: Means,
        read: fn(&str) -> Option<&str>,
    ) -> Self {
        Self {
            what,
            example,
            seen,
            place: Place::Anywhere,
            read,
            means,
        }
    }

    pub(super) const fn lies(self, place: Place) -> Self {
        Self { place, ..self }
    }
}
