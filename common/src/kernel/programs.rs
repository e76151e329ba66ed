//! Names of the programs that are not named like a tracepoint.

/// The program that folds live flows.
pub const FOLD: &str = "fold_flows";
/// The program that shows live flows.
pub const DUMP: &str = "dump_flows";
/// The program that counts what listeners turn away.
pub const FOLD_LISTENERS: &str = "fold_listeners";
/// The program that finds the flows that are open at the start.
pub const ADOPT: &str = "adopt_flows";
/// The program that finds the words by which the kernel knows that a first program is at work.
pub const FIND: &str = "find_programs";
