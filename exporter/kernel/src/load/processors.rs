//! Which CPUs the machine has, and which it may get.

use common::map::shards::Shards;
use std::{fs::read_to_string, io};

/// The largest numbers of CPUs, each plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Processors {
    /// Of those that may be there.
    pub(super) possible: u32,
    /// Of those that run programs.
    pub(super) online: u32,
}

impl Processors {
    /// Asks the kernel.
    ///
    /// # Errors
    /// With the file that cannot be read or understood.
    pub(super) fn read() -> Result<Self, (&'static str, io::Error)> {
        let read = |file: &'static str| {
            let text = read_to_string(file).map_err(|error| (file, error))?;
            behind_last(&text).ok_or_else(|| (file, io::ErrorKind::InvalidData.into()))
        };
        Ok(Self {
            possible: read("/sys/devices/system/cpu/possible")?,
            online: read("/sys/devices/system/cpu/online")?,
        })
    }

    /// How they share the tables of counters.
    pub(super) const fn shards(self) -> Shards {
        Shards::of_machine(self.possible, self.online)
    }
}

/// The last number of a list like `0-3,8-11`, plus one.
fn behind_last(list: &str) -> Option<u32> {
    let last = list.trim().rsplit([',', '-']).next()?;
    last.parse::<u32>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_processors_ends_with_the_largest() {
        for (list, expected) in [
            ("0\n", Some(1)),
            ("0-127\n", Some(128)),
            ("0,3-5,9\n", Some(10)),
            ("\n", None),
        ] {
            assert_eq!(behind_last(list), expected, "{list:?}");
        }
    }
}
