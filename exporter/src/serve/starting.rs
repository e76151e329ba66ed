//! From arguments to a server, step by step: checked, bound, loaded, unprivileged, running. Each step takes the one before it, so
//! that a step out of order does not compile: what needs privileges precedes their end, and their end the first thread. With a
//! recording in place of a kernel the steps are the same, and nothing is loaded.

use crate::{
    cli::ServeArguments,
    lifecycle::{
        clock::since_1970,
        host::{Host, why_another_namespace},
        setup::{self, Capability},
        start::{self, StartError},
        threads::{self, TooFew, panics},
        worker::Worker,
    },
    serve::{
        collect::{Collector, KernelSource, Others, Source, pushes::Tally},
        demo::Demo,
        http::{About, Service, access::FlowAccess, expositions::Expositions},
        listen::{self, ListenError, Listener},
        push,
        reload::{self, Origin, Reloader, Sources, Wanted},
        running::Running,
        web::{Connections, Web, served::Served},
        workloads,
    },
};
use std::{path::Path, sync::Arc, time::Duration};
use tcpvitals_config::{Config, numbering::Numbering};
use tcpvitals_kernel::{
    Kernel,
    plan::{Plan, purpose::Purpose},
};
use tcpvitals_metrics::{coverage::Coverage, host::Part};
use tokio::sync::watch;

/// Arguments and files make sense, and the kernel has what they want.
pub(super) struct Checked<'a> {
    arguments: &'a ServeArguments,
    origin: Origin,
    sources: Sources,
    wanted: Wanted,
    subject: Subject<start::Checked, Box<Demo>>,
}

/// What is served: a kernel, or a recording of one.
enum Subject<K, R> {
    Kernel(K),
    Recording(R),
}

impl<'a> Checked<'a> {
    /// Reads the files and the kernel's types.
    pub(super) fn new(arguments: &'a ServeArguments) -> Result<Self, StartError> {
        Self::read(arguments, None, |config| {
            let btf = arguments.btf.as_deref();
            Ok(Subject::Kernel(start::Checked::new(config, btf, Purpose::Serve)?))
        })
    }

    /// Reads the files for a recording.
    pub(super) fn of_recording(arguments: &'a ServeArguments, demo: Demo) -> Result<Self, StartError> {
        let recorded = Some(Arc::new(demo.config.clone()));
        Self::read(arguments, recorded, |_| Ok(Subject::Recording(Box::new(demo))))
    }

    fn read(
        arguments: &'a ServeArguments,
        recorded: Option<Arc<Config>>,
        subject: impl FnOnce(&Config) -> Result<Subject<start::Checked, Box<Demo>>, StartError>,
    ) -> Result<Self, StartError> {
        let origin = Origin {
            file: arguments.config_file.clone(),
            recorded,
            telemetry_path: arguments.telemetry_path.clone(),
        };
        let (sources, wanted) = reload::read(&origin);
        let wanted = wanted?;
        Web::read(arguments.web_config_file.as_deref())?;
        Ok(Self {
            subject: subject(&wanted.config)?,
            arguments,
            origin,
            sources,
            wanted,
        })
    }

    /// Takes the addresses, while a port below 1024 may still be taken.
    pub(super) fn bind(self) -> Result<Bound<'a>, ListenError> {
        Ok(Bound {
            listeners: listen::open(self.arguments)?,
            checked: self,
        })
    }
}

/// The addresses are taken.
pub(super) struct Bound<'a> {
    checked: Checked<'a>,
    listeners: Vec<Listener>,
}

impl<'a> Bound<'a> {
    /// Keeps only the capabilities that loading needs, and loads the programs. A recording needs neither.
    pub(super) fn load(self) -> Result<Loaded<'a>, StartError> {
        let Self { checked, listeners } = self;
        let Checked {
            arguments,
            origin,
            sources,
            wanted,
            subject,
        } = checked;
        let subject = match subject {
            Subject::Kernel(kernel) => Subject::Kernel(kernel.keep_needed()?),
            Subject::Recording(demo) => Subject::Recording(demo),
        };
        let is_recording = matches!(subject, Subject::Recording(_));
        let server = Server {
            arguments,
            origin,
            sources,
            // Again, as it is read from now on: without the right to read what is for other users only.
            web: Arc::new(Web::read(arguments.web_config_file.as_deref())?),
            numbering: Numbering::new(&wanted.config),
            wanted,
            // The peers of a recording are nobody's.
            flows: FlowAccess {
                enabled: arguments.enable_flows || is_recording,
                has_local: listeners.iter().any(Listener::is_local),
            },
            listeners,
            started: since_1970(),
        };
        let subject = match subject {
            Subject::Kernel(permitted) => {
                let contents = setup::tables(&server.wanted.config, &server.numbering);
                tell_large_maps(server.wanted.config.limits.memory);
                Subject::Kernel(permitted.load(contents, Kernel::load)?)
            }
            Subject::Recording(demo) => Subject::Recording(demo),
        };
        Ok(Loaded { subject, server })
    }
}

/// All that a server has before it has threads, but for the programs.
struct Server<'a> {
    arguments: &'a ServeArguments,
    origin: Origin,
    sources: Sources,
    wanted: Wanted,
    listeners: Vec<Listener>,
    flows: FlowAccess,
    web: Arc<Web>,
    numbering: Numbering,
    /// When the programs began to count, since 1970.
    started: Duration,
}

/// The programs run.
pub(super) struct Loaded<'a> {
    server: Server<'a>,
    subject: Subject<start::Loaded<Kernel>, Box<Demo>>,
}

impl<'a> Loaded<'a> {
    /// Gives up all capabilities.
    pub(super) fn drop_capabilities(self) -> Result<Unprivileged<'a>, StartError> {
        let Self { server, subject } = self;
        let subject = match subject {
            Subject::Kernel(kernel) => {
                let kernel = kernel.drop_capabilities()?;
                log(kernel.plan(), &server.wanted.config);
                Subject::Kernel(kernel)
            }
            Subject::Recording(demo) => {
                start::drop_capabilities()?;
                tracing::info!("{}", demo.notice());
                Subject::Recording(demo)
            }
        };
        Ok(Unprivileged { server, subject })
    }
}

/// The kernel takes seconds for some gigabytes of maps, and does nothing else meanwhile.
fn tell_large_maps(bytes: u64) {
    const LARGE: u64 = 512 << 20;
    if bytes >= LARGE {
        tracing::info!(
            MiB = bytes >> 20,
            "the kernel makes large maps (limits.memory), which takes a while"
        );
    }
}

/// One line: what runs, and what does not and why.
fn log(plan: &Plan, config: &Config) {
    let attached = plan.programs.iter().filter(|planned| planned.off.is_none()).count();
    let off = plan
        .programs
        .iter()
        .filter_map(|planned| Some(format!("{}: {}", planned.name(), planned.off.as_ref()?)));
    let off: Vec<String> = off.collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        detail = config.tcp.detail.as_str(),
        attached,
        off = if off.is_empty() {
            "none".to_owned()
        } else {
            off.join("; ")
        },
        "programs attached"
    );
}

/// What is wanted of the host and cannot be read.
fn warn_of(off: &[(Part, String)], config: &Config) {
    for (part, reason) in off.iter().filter(|off| !setup::host_off(config, None).contains(off)) {
        let key = match part {
            Part::Devices => "devices.enabled",
            Part::TcpMemory => "tcp.memory",
            // On by itself: `doctor` says why not.
            Part::SynCookies => continue,
        };
        tracing::warn!("{key} is true, but nothing is read: {reason}");
    }
}

/// Nothing of the process needs privileges any more: it may have threads.
pub(super) struct Unprivileged<'a> {
    server: Server<'a>,
    subject: Subject<Kernel, Box<Demo>>,
}

impl Unprivileged<'_> {
    pub(super) fn start(self) -> Result<Running, StartError> {
        let Self { server, subject } = self;
        let Server {
            arguments,
            origin,
            sources,
            wanted: Wanted {
                config,
                settings,
                receiver,
            },
            listeners,
            flows,
            web,
            numbering,
            started,
        } = server;
        let Opened {
            source,
            coverage,
            capabilities,
            started,
            about,
        } = match subject {
            Subject::Kernel(kernel) => Opened::of_kernel(kernel, &config, started)?,
            Subject::Recording(demo) => Opened::of_recording(*demo)?,
        };
        let tally = Arc::new(Tally::default());
        // Those that run tasks, and those for what takes long: an answer with many flows, a password.
        let runtime = threads::runtime("tcpvitals", 2, 4)?;
        let served = Arc::new(Served::new(config.limits.connections_per_peer));
        let others = Others {
            tally: Arc::clone(&tally),
            served: Arc::clone(&served),
        };
        let collector = Arc::new(Collector::new(source, &config, numbering, others, started)?);
        let files = Arc::new(Worker::start("tcpvitals-files", ()).map_err(|error| TooFew::new(1, error))?);
        let (destination, pushed_to) = watch::channel(push::or_nowhere(receiver));
        let pushed = push::start(Arc::clone(&collector), tally, pushed_to)?;
        let reloader = Arc::new(Reloader::new(
            origin,
            Arc::clone(&files),
            sources,
            settings,
            Arc::clone(&collector),
            destination,
        ));
        let connections = Connections::new(served);
        let last_push = {
            let (reloader, pushed) = (Arc::clone(&reloader), Arc::clone(&pushed));
            move || {
                reloader.end();
                pushed.wait();
            }
        };
        panics::end_the_process(last_push).map_err(|error| TooFew::new(2, error))?;
        let service = Service {
            coverage,
            capabilities,
            collector,
            expositions: Expositions::new(Arc::clone(&connections)),
            reloader: arguments.enable_lifecycle.then(|| Arc::clone(&reloader)),
            telemetry_path: arguments.telemetry_path.clone(),
            config_file: arguments.config_file.as_deref().map(whole_path),
            web,
            flows,
            about,
        };
        Ok(Running {
            runtime,
            listeners,
            service,
            connections,
            reloader,
            files,
            pushed,
            follows_config: arguments.config_watch,
        })
    }
}

/// What is served, ready to be read.
struct Opened {
    source: Source,
    coverage: Coverage,
    /// What of that the configuration can switch off; of a recording nothing.
    capabilities: Vec<Capability>,
    /// When it began to count, since 1970.
    started: Duration,
    about: About,
}

impl Opened {
    fn of_kernel(mut kernel: Kernel, config: &Config, started: Duration) -> Result<Self, StartError> {
        let host_off = setup::host_off(config, why_another_namespace());
        warn_of(&host_off, config);
        let coverage = setup::coverage(kernel.plan(), host_off.clone());
        let capabilities = setup::capabilities(kernel.plan(), &host_off);
        let known = Arc::default();
        workloads::follow(&mut kernel, config, &known)?;
        if let Some(note) = known.health.note() {
            tracing::info!("workloads: {note}");
        }
        Ok(Self {
            source: KernelSource::new(kernel, known, host_off, started)?.into(),
            coverage,
            capabilities,
            started,
            about: About {
                host: Host::read(),
                notice: None,
            },
        })
    }

    fn of_recording(demo: Demo) -> Result<Self, StartError> {
        let recorded = demo.about();
        let host = Host {
            name: recorded.host.clone(),
            release: recorded.kernel.clone(),
            ..Host::default()
        };
        let (coverage, notice) = (recorded.coverage.clone(), Some(demo.notice()));
        let player = demo.play(since_1970())?;
        Ok(Self {
            started: player.started(),
            source: player.into(),
            coverage,
            capabilities: Vec::new(),
            about: About { host, notice },
        })
    }
}

/// A path that holds in every folder, as text.
fn whole_path(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.display().to_string()
}
