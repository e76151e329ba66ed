//! Who gets an answer: rates of peers, passwords, and pages of other sites; the guard asks them all.

pub(crate) mod login;
pub(crate) mod rate;
pub(crate) mod site;
