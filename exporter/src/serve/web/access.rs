//! Who gets an answer: peers and their rates, passwords, and pages of other sites; the guard asks them all.

pub(crate) mod guard;
pub(crate) mod login;
pub(crate) mod peer;
pub(crate) mod rate;
pub(crate) mod site;
