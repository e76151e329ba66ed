//! How every command that looks at the kernel starts: what the kernel has, a plan, only the capabilities that loading needs, the
//! programs, and then no capabilities at all. Each step makes the type of the next, so steps out of order do not compile.
//! It must happen on one thread, before there are others: capabilities belong to threads.

use crate::lifecycle::{
    exit::{Ends, Exit},
    setup, signals,
    threads::TooFew,
};
use common::{kernel::programs::CGROUP_MADE, map::catalog::Map};
use std::{collections::BTreeSet, path::Path};
use tcpvitals_config::{
    Config, ConfigError,
    label::{Flag, Row},
};
use tcpvitals_kernel::{
    Kernel, LoadError,
    load::Setup,
    plan::{self, Plan, Unsupported, off::Off, purpose::Purpose},
    probe::{
        btf_file::BtfFile,
        features::{self, FeaturesError},
        reasons::Reasons,
    },
    read::{ReadError, packets::Packets},
    sys::capabilities::{self, CapabilitiesError},
};
use tcpvitals_metrics::recording::Unreadable;

/// Why the programs do not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The kernel's type information cannot be read.
    #[error(transparent)]
    Features(#[from] FeaturesError),
    /// The kernel or the configuration leaves nothing to run.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The process may not load programs, or cannot give its privileges up.
    #[error(transparent)]
    Capabilities(#[from] CapabilitiesError),
    /// The programs could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What is loaded cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nothing can be of a certain workload.
    #[error("--{flag}: traffic is not separated by workload: {reason}{}", remedy(.reason))]
    NoWorkloads { flag: &'static str, reason: Off },
    /// The system gives too few threads.
    #[error(transparent)]
    Threads(#[from] TooFew),
    /// What is served in place of a kernel cannot be read.
    #[error("the recording cannot be read: {0}")]
    Recording(#[from] Unreadable),
}

impl Ends for StartError {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(error) => error.exit(),
            Self::Load(LoadError::EndAsked) => Exit::Asked,
            Self::NoWorkloads {
                reason: Off::Workloads | Off::NoSource,
                ..
            } => Exit::Usage,
            Self::Features(_)
            | Self::Unsupported(_)
            | Self::Capabilities(_)
            | Self::Load(_)
            | Self::Read(_)
            | Self::NoWorkloads { .. } => Exit::Kernel,
            Self::Threads(_) | Self::Recording(_) => Exit::Failed,
        }
    }
}

/// What to do where the configuration alone is in the way.
fn remedy(reason: &Off) -> &'static str {
    if *reason == Off::NoSource {
        "; name one in the configuration (--config.file), for example workloads: {source: cgroup}"
    } else if *reason == Off::Workloads {
        "; switch them on in the configuration (--config.file)"
    } else {
        ""
    }
}

/// The kernel has what is wanted. Nothing has changed yet.
#[derive(Debug)]
pub struct Checked {
    plan: Plan,
    purpose: Purpose,
    reasons: Reasons,
    btf: BtfFile,
}

impl Checked {
    /// Plans what is to run for a configuration on this kernel, or one whose types the file `btf` has.
    ///
    /// # Errors
    /// [`StartError::Features`], [`StartError::Unsupported`].
    pub fn new(config: &Config, btf: Option<&Path>, purpose: Purpose) -> Result<Self, StartError> {
        let btf = setup::btf_file(btf);
        let (features, reasons) = features::read(&btf, &plan::tracepoints(), &plan::iterators())?;
        Ok(Self {
            plan: plan::plan(setup::selection(config), &features, purpose)?,
            purpose,
            reasons,
            btf,
        })
    }

    /// What is to run, and what is not and why.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Every drop reason that the kernel names.
    pub fn reasons(&self) -> BTreeSet<&str> {
        self.reasons.names().collect()
    }

    /// Requires that rows can have values of these labels: those of workloads only where workloads are told apart.
    ///
    /// # Errors
    /// [`StartError::NoWorkloads`]
    pub fn require(self, labels: impl Iterator<Item = &'static Row>) -> Result<Self, StartError> {
        let mut of_workloads = labels.filter(|row| row.is_of_workloads);
        match (
            of_workloads.next().and_then(|row| row.flag.as_ref()),
            self.plan.why_off(CGROUP_MADE),
        ) {
            (Some(Flag { name, .. }), Some(reason)) => Err(StartError::NoWorkloads {
                flag: name,
                reason: reason.clone(),
            }),
            _ => Ok(self),
        }
    }

    /// With a ring buffer of this size, in bytes.
    #[must_use]
    pub fn with_ring<K, V>(self, map: Map<K, V>, bytes: u32) -> Self {
        Self {
            plan: self.plan.with_ring(map, bytes),
            ..self
        }
    }

    /// Gives up every capability that loading does not need.
    ///
    /// # Errors
    /// [`StartError::Capabilities`]
    pub fn keep_needed(self) -> Result<Permitted, StartError> {
        match self.purpose {
            Purpose::Capture => capabilities::keep_needed_for_buffers()?,
            Purpose::Serve | Purpose::Trace => capabilities::keep_needed()?,
        }
        Ok(Permitted(self))
    }
}

/// The process may load programs, and do nothing else that needs privileges.
#[derive(Debug)]
pub struct Permitted(Checked);

impl Permitted {
    /// Loads and attaches what was planned.
    ///
    /// # Errors
    /// [`StartError::Load`]; nothing stays loaded.
    pub fn load<L: Programs>(
        self,
        tables: setup::MapContents,
        load: impl FnOnce(&Setup, Plan) -> Result<L, LoadError>,
    ) -> Result<Loaded<L>, StartError> {
        let Checked {
            plan,
            purpose,
            reasons,
            btf,
        } = self.0;
        let setup::MapContents { memory, lookups } = tables;
        let setup = Setup {
            memory,
            has_one_shard: setup::has_one_shard(),
            lookups,
            reasons,
            btf,
            end_is_asked: signals::end_is_asked,
        };
        Ok(Loaded {
            programs: load(&setup, plan)?,
            purpose,
        })
    }
}

/// What runs in the kernel.
pub trait Programs {
    fn kernel(&self) -> &Kernel;
}

impl Programs for Kernel {
    fn kernel(&self) -> &Kernel {
        self
    }
}

impl Programs for Packets {
    fn kernel(&self) -> &Kernel {
        Self::kernel(self)
    }
}

/// The programs run; the process has still what loading needs.
#[derive(Debug)]
pub struct Loaded<L> {
    programs: L,
    purpose: Purpose,
}

impl<L: Programs> Loaded<L> {
    /// Gives up all capabilities, and warns where the kernel hides the names of its functions from whoever shows them.
    ///
    /// # Errors
    /// [`StartError::Capabilities`]
    pub fn drop_capabilities(self) -> Result<L, StartError> {
        capabilities::drop_all()?;
        if self.purpose != Purpose::Trace && self.programs.kernel().hides_symbols() {
            tracing::warn!("the kernel hides its symbol addresses, so drop locations are unknown; {SHOW_SYMBOLS}");
        }
        Ok(self.programs)
    }
}

/// Gives up all capabilities where nothing is loaded.
///
/// # Errors
/// [`StartError::Capabilities`]
pub fn drop_capabilities() -> Result<(), StartError> {
    Ok(capabilities::drop_all()?)
}

/// What to do where the kernel hides its symbols.
pub const SHOW_SYMBOLS: &str =
    "give the process CAP_SYSLOG, or set kernel.kptr_restrict=0 and kernel.perf_event_paranoid=1";
