//! What the operating system says of the exporter's own process, for the standard `process_*` metrics.

use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit, setrlimit},
};
use procfs::{
    ProcResult,
    process::{LimitValue, Process},
};
use tcpvitals_metrics::snapshot::{CpuTime, Exporter};

/// Reads `/proc/self`. What cannot be read is left out.
pub fn read() -> Exporter {
    let mut exporter = Exporter::default();
    let Ok(process) = Process::myself() else {
        return exporter;
    };
    if let Ok(stat) = process.stat() {
        #[expect(clippy::cast_precision_loss, reason = "metrics are f64")]
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        let nanoseconds = |ticks: u64| ticks.saturating_mul(1_000_000_000 / procfs::ticks_per_second());
        exporter.cpu_time = Some(CpuTime {
            user: nanoseconds(stat.utime),
            system: nanoseconds(stat.stime),
        });
        #[expect(clippy::cast_precision_loss, reason = "metrics are f64")]
        {
            exporter.virtual_bytes = Some(stat.vsize as f64);
            exporter.resident_bytes = Some((stat.rss * procfs::page_size()) as f64);
        }
        exporter.started = boot_time().ok().map(|boot| boot + seconds(stat.starttime));
    }
    #[expect(clippy::cast_precision_loss, reason = "metrics are f64")]
    {
        exporter.open_descriptors = process.fd_count().ok().map(|count| count as f64);
        exporter.most_descriptors = process
            .limits()
            .ok()
            .and_then(|limits| match limits.max_open_files.soft_limit {
                LimitValue::Value(most) => Some(most as f64),
                LimitValue::Unlimited => None,
            });
    }
    exporter
}

/// The system gives too few descriptors.
#[derive(Debug, thiserror::Error)]
#[error(
    "only {given} files may be open, and {needed} have to be; raise the limit: LimitNOFILE= of a unit, `ulimit -n`"
)]
pub struct TooFewDescriptors {
    given: u64,
    needed: u64,
}

/// Raises the limit of open files as far as it goes. Where the system does not tell it, it will do.
///
/// # Errors
/// [`TooFewDescriptors`] where that is less than `needed`.
pub fn raise_descriptors(needed: u64) -> Result<(), TooFewDescriptors> {
    match raise() {
        Ok(given) if given < needed => Err(TooFewDescriptors { given, needed }),
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::debug!(%error, "the limit of open files cannot be raised");
            Ok(())
        }
    }
}

fn raise() -> Result<u64, Errno> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// Seconds since 1970.
fn boot_time() -> ProcResult<f64> {
    #[expect(clippy::cast_precision_loss, reason = "metrics are f64")]
    procfs::boot_time_secs().map(|seconds| seconds as f64)
}
