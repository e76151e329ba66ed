//! Why nothing was loaded, and why the kernel refused a program.

use crate::probe::lockdown;
pub use crate::sys::object::MapFault;
use aya::{EbpfError, maps::perf::PerfBufferError, programs::ProgramError};
use std::io;

/// Why nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel does not let this process load programs.
    #[error(
        "the kernel refuses to load programs for this process ({0}): it needs CAP_BPF and CAP_PERFMON in the first user \
         namespace, and a seccomp profile that allows bpf(2)"
    )]
    NotPermitted(io::Error),
    /// The tables need more than there is.
    #[error(
        "the kernel has no memory for the tables: raise the memory limit (memory.max of the control group, MemoryMax= of a unit, the \
         container's limit), or lower limits.memory in the configuration"
    )]
    NoMemory,
    /// No program may read the kernel's memory.
    #[error("{}", lockdown::SENTENCE)]
    LockedDown,
    /// The object or a map.
    #[error("cannot load the kernel object: {0}")]
    Object(#[source] Box<EbpfError>),
    /// A map that is not as it has to be, or that takes no more.
    #[error("cannot fill the map {0}")]
    Map(#[from] MapFault),
    /// Every program was refused.
    #[error("no program could be attached; the first was {program}: {reason}")]
    NothingAttached {
        /// Name of the first program.
        program: &'static str,
        /// What the kernel said.
        reason: String,
    },
    /// The buffer of packets on a CPU.
    #[error(
        "open the buffer of packets on CPU {cpu}: {source}; that needs CAP_PERFMON, and CAP_SYS_ADMIN where \
         kernel.perf_event_paranoid is above 2 (Debian, Ubuntu): run as root, or set it to 2"
    )]
    Buffer {
        /// Its number.
        cpu: u32,
        /// What the kernel said.
        source: PerfBufferError,
    },
    /// A signal came before everything was loaded.
    #[error("stopped by a signal before all programs were loaded")]
    EndAsked,
    /// The number of CPUs.
    #[error("{0}: {1}")]
    Cpus(&'static str, io::Error),
}

/// Why the kernel refused a program, which is then given up; an error if it would refuse all.
pub(super) fn refused(program: &'static str, error: &ProgramError) -> Result<String, LoadError> {
    if let Some(error) = not_permitted(error) {
        return Err(error);
    }
    let reason = refusal(error);
    // The file that would have said so may be hidden from a container.
    if lockdown::is_why(&reason) {
        return Err(LoadError::LockedDown);
    }
    // Other programs may be tried in their place.
    tracing::debug!(program, %error, "the kernel refuses a program");
    Ok(reason)
}

pub(super) fn object_error(error: EbpfError) -> LoadError {
    not_permitted(&error).unwrap_or_else(|| match number(&error) {
        Some(libc::ENOMEM) => LoadError::NoMemory,
        _ => LoadError::Object(Box::new(error)),
    })
}

/// That this process may not load, if that is what the kernel said.
fn not_permitted(error: &(dyn std::error::Error + 'static)) -> Option<LoadError> {
    let number = number(error).filter(|number| *number == libc::EPERM)?;
    Some(LoadError::NotPermitted(io::Error::from_raw_os_error(number)))
}

/// The kernel's error number at the bottom of an error.
fn number(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io.raw_os_error();
        }
        source = error.source();
    }
    None
}

/// Why the kernel refused a program: the verifier's last words, or the error.
fn refusal(error: &ProgramError) -> String {
    if let ProgramError::LoadError { io_error, verifier_log } = error {
        let log = verifier_log.to_string();
        let verdict = log.lines().rev().find(|line| {
            let counts = line.starts_with("processed ")
                || line.starts_with("verification time")
                || line.starts_with("stack depth");
            !counts && !line.trim().is_empty()
        });
        return match verdict {
            Some(verdict) => format!("{io_error}: {}", verdict.trim()),
            None => io_error.to_string(),
        };
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aya::maps::MapError;

    #[test]
    fn what_the_kernel_says_of_a_map_is_told_from_other_faults() {
        let of = |number: i32| {
            let error = MapError::CreateError {
                name: "GROUPS".to_owned(),
                io_error: io::Error::from_raw_os_error(number),
            };
            object_error(EbpfError::MapError(error))
        };
        assert!(matches!(of(libc::ENOMEM), LoadError::NoMemory));
        assert!(matches!(of(libc::EPERM), LoadError::NotPermitted(_)));
        assert!(matches!(of(libc::EINVAL), LoadError::Object(_)));
    }
}
