//! How the source of names does: what metrics, readiness and the page say of it.
//! It must never ask the source. From the thread that listens to it; to collections.

use crate::lifecycle::clock::since_1970;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tcpvitals_config::file::files;
use tcpvitals_metrics::snapshot::NameSource;

/// How the source does; nothing while none is configured.
#[derive(Debug, Default)]
pub struct Health(Mutex<Option<NameSource>>);

impl Health {
    /// From now on this source is in use, and `off` says why it says nothing.
    pub(super) fn begin(&self, name: &'static str, off: Option<String>, note: Option<String>) {
        *self.source() = Some(NameSource {
            name,
            off,
            note,
            since: since_1970(),
            last_update: None,
        });
    }

    /// It says something from now on.
    pub(super) fn is_up(&self) {
        self.turn(None, None);
    }

    /// It says something from now on, but not as it should.
    pub(super) fn is_up_with(&self, note: &str) {
        self.turn(None, Some(note.to_owned()));
    }

    /// It says nothing from now on.
    pub(super) fn is_down(&self, reason: &str, note: &str) {
        self.turn(Some(reason.to_owned()), Some(note.to_owned()));
    }

    fn turn(&self, off: Option<String>, note: Option<String>) {
        // A fault has the words that it had first.
        let is_same = |source: &NameSource| source.off == off && (off.is_some() || source.note == note);
        if let Some(source) = self.source().as_mut()
            && !is_same(source)
        {
            *source = NameSource {
                off,
                note,
                since: since_1970(),
                ..source.clone()
            };
        }
    }

    /// It has just said something.
    pub(super) fn has_heard(&self) {
        if let Some(source) = self.source().as_mut() {
            source.last_update = Some(since_1970());
        }
    }

    /// Why another source than the configured one is in use.
    pub fn note(&self) -> Option<String> {
        self.told().filter(|source| source.off.is_none())?.note
    }

    /// How it does now. Where there are no cgroups that sockets know it is of no use.
    pub fn read(&self) -> Option<NameSource> {
        let mut source = self.told()?;
        if source.off.is_none() && !has_unified_cgroups() {
            source.off = Some(NO_CGROUPS.to_owned());
            source.note = Some(NO_CGROUPS_REMEDY.to_owned());
        }
        Some(source)
    }

    /// As far as the source itself tells.
    pub(super) fn told(&self) -> Option<NameSource> {
        self.source().clone()
    }

    fn source(&self) -> MutexGuard<'_, Option<NameSource>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reason where sockets know no cgroup.
pub const NO_CGROUPS: &str = "no cgroups of version 2";

/// What that means, and the remedy.
pub const NO_CGROUPS_REMEDY: &str = "nobody has mounted cgroups of version 2, and sockets know no others: everything counts as host; \
                                     mount them, or boot with systemd.unified_cgroup_hierarchy=1";

/// Whether cgroups of version 2 have been mounted: only then the kernel shows a process in them.
pub fn has_unified_cgroups() -> bool {
    const MOST: u64 = 64 << 10;
    // Where it cannot be read, nothing speaks against it.
    files::read("/proc/self/cgroup".as_ref(), MOST).map_or(true, |text| is_unified(&text))
}

/// The hierarchy of version 2 has the number 0 (cgroups(7)).
fn is_unified(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"0::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_version_1_is_told_by_the_cgroups_of_a_process() {
        assert!(is_unified(b"0::/system.slice/web.service\n"));
        assert!(is_unified(b"9:name=systemd:/\n1:cpu:/\n0::/\n"));
        for old in [&b""[..], b"10:cpu:/\n9:name=systemd:/\n1:cpuset:/0::/\n"] {
            assert!(!is_unified(old));
        }
    }

    #[test]
    fn a_state_lasts_since_it_began_and_keeps_the_last_update() {
        let health = Health::default();
        health.is_up();
        assert_eq!(health.told(), None);
        health.begin("kubernetes", Some("syncing".to_owned()), None);
        health.has_heard();
        health.is_down("forbidden", "it may not");
        let first = health.told().unwrap();
        assert_eq!(
            (first.off.as_deref(), first.note.as_deref()),
            (Some("forbidden"), Some("it may not"))
        );
        health.is_down("forbidden", "in other words");
        assert_eq!(health.told().unwrap(), first);
        assert!(first.last_update.is_some());
        health.is_up();
        let up = health.told().unwrap();
        assert_eq!((up.off, up.note, up.last_update), (None, None, first.last_update));
    }
}
