//! Capabilities: which are needed, and giving up all others.
//!
//! Capabilities belong to threads, so all of this happens before the first thread is started.

use caps::{CapSet, Capability, CapsHashSet};
use std::fs;

/// What could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CapabilitiesError {
    /// The process may not load programs.
    #[error(
        "loading programs into the kernel needs root: run it with sudo. Without root it needs {missing}: `setcap \
         cap_bpf,cap_perfmon,cap_syslog+ep FILE` for the binary, AmbientCapabilities= for a service"
    )]
    Missing {
        /// The names of the missing capabilities.
        missing: String,
    },
    /// The kernel refused to give capabilities up.
    #[error("cannot drop capabilities: {0}")]
    Kept(#[from] caps::errors::CapsError),
}

/// Checks that programs can be loaded, and gives up every capability that this does not need. Whoever is executed from now
/// on gains none (`no_new_privs`).
///
/// # Errors
/// [`CapabilitiesError::Missing`] without CAP_BPF or CAP_PERFMON.
pub fn keep_needed() -> Result<(), CapabilitiesError> {
    set(&at_hand()?)
}

/// As [`keep_needed`], and CAP_SYS_ADMIN if it is at hand and buffers of packets cannot be opened without: kernels of Debian and
/// Ubuntu, with `kernel.perf_event_paranoid` above 2.
///
/// # Errors
/// [`CapabilitiesError::Missing`] without CAP_BPF or CAP_PERFMON.
pub fn keep_needed_for_buffers() -> Result<(), CapabilitiesError> {
    let mut keep = at_hand()?;
    let paranoid = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let is_for_administrators = paranoid.trim().parse::<i32>().is_ok_and(|level| level > 2);
    if is_for_administrators && caps::has_cap(None, CapSet::Permitted, Capability::CAP_SYS_ADMIN)? {
        keep.insert(Capability::CAP_SYS_ADMIN);
    }
    set(&keep)
}

/// Makes those that loading needs effective, as far as the process may have them: a file's capabilities need not be from the start.
pub(crate) fn raise() {
    for capability in [Capability::CAP_BPF, Capability::CAP_PERFMON, Capability::CAP_SYS_ADMIN] {
        // Whoever has too little learns it when programs are loaded.
        let _raised = caps::raise(None, CapSet::Effective, capability);
    }
}

fn at_hand() -> Result<CapsHashSet, CapabilitiesError> {
    let have = caps::read(None, CapSet::Permitted)?;
    needed(&have).map_err(|missing| CapabilitiesError::Missing { missing })
}

/// Gives up all capabilities: the open descriptors are enough for everything that follows.
///
/// # Errors
/// [`CapabilitiesError::Kept`] when the kernel refuses.
pub fn drop_all() -> Result<(), CapabilitiesError> {
    set(&CapsHashSet::new())
}

/// Of the capabilities at hand those needed to load; else the names of the missing ones.
fn needed(have: &CapsHashSet) -> Result<CapsHashSet, String> {
    let required = [Capability::CAP_BPF, Capability::CAP_PERFMON];
    let mut keep: CapsHashSet = required
        .into_iter()
        .chain([Capability::CAP_SYSLOG])
        .filter(|capability| have.contains(capability))
        .collect();
    let missing: Vec<String> = required
        .iter()
        .filter(|capability| !have.contains(*capability))
        .map(ToString::to_string)
        .collect();
    if missing.is_empty() {
        return Ok(keep);
    }
    // The kernel takes CAP_SYS_ADMIN for both.
    if have.contains(&Capability::CAP_SYS_ADMIN) {
        keep.insert(Capability::CAP_SYS_ADMIN);
        return Ok(keep);
    }
    Err(missing.join(" and "))
}

fn set(keep: &CapsHashSet) -> Result<(), CapabilitiesError> {
    // First what could bring capabilities back; both sets may be shrunk by anyone, the bounding set only with CAP_SETPCAP.
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        caps::clear(None, CapSet::Bounding)?;
    }
    caps::set(None, CapSet::Effective, keep)?;
    caps::set(None, CapSet::Permitted, keep)?;
    nix::sys::prctl::set_no_new_privs().map_err(|error| CapabilitiesError::Kept(error.to_string().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(have: &[Capability], expected: Result<&[Capability], &str>) {
        let result = needed(&have.iter().copied().collect());
        assert_eq!(
            result,
            expected
                .map(|keep| keep.iter().copied().collect())
                .map_err(str::to_owned)
        );
    }

    #[test]
    fn only_what_loading_needs_is_kept() {
        use Capability::*;
        check(&[CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN], Ok(&[CAP_BPF, CAP_PERFMON]));
        check(
            &[CAP_BPF, CAP_PERFMON, CAP_SYSLOG, CAP_SYS_ADMIN],
            Ok(&[CAP_BPF, CAP_PERFMON, CAP_SYSLOG]),
        );
        check(&[CAP_SYS_ADMIN, CAP_CHOWN], Ok(&[CAP_SYS_ADMIN]));
        check(&[CAP_BPF], Err("CAP_PERFMON"));
        check(&[CAP_SYSLOG], Err("CAP_BPF and CAP_PERFMON"));
    }
}
