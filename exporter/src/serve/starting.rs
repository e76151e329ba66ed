//! From arguments to a server, step by step: checked, bound, loaded, unprivileged, running. Each step takes the one before it, so
//! that a step out of order does not compile: what needs privileges precedes their end, and their end the first thread.

use crate::{
    cli::ServeArguments,
    lifecycle::{
        clock::since_1970,
        host::{Host, why_another_namespace},
        setup,
        start::{self, StartError},
        threads::{self, TooFew, panics},
        worker::Worker,
    },
    serve::{
        collect::{Collector, KernelSource, Others, pushes::Tally},
        http::{Service, access::FlowAccess, expositions::Expositions},
        listen::{self, ListenError, Listener},
        push,
        reload::{self, Reloader, Sources, Wanted},
        running::Running,
        web::{Connections, Web, served::Served},
        workloads,
    },
};
use std::{sync::Arc, time::Duration};
use tcpvitals_config::{Config, ConfigError, numbering::Numbering};
use tcpvitals_kernel::{
    Kernel,
    plan::{Plan, purpose::Purpose},
};
use tcpvitals_metrics::host::Part;
use tokio::sync::watch;

/// Arguments and files make sense, and the kernel has what they want.
pub(super) struct Checked<'a> {
    arguments: &'a ServeArguments,
    sources: Sources,
    wanted: Wanted,
    kernel: start::Checked,
}

impl<'a> Checked<'a> {
    /// Reads the files and the kernel's types.
    pub(super) fn new(arguments: &'a ServeArguments) -> Result<Self, StartError> {
        let (sources, wanted) = reload::read(arguments.config_file.as_deref());
        let wanted = wanted?;
        refuse_path_of_a_view(&arguments.telemetry_path, &wanted.config)?;
        Web::read(arguments.web_config_file.as_deref())?;
        Ok(Self {
            kernel: start::Checked::new(&wanted.config, arguments.btf.as_deref(), Purpose::Serve)?,
            arguments,
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

/// What the metrics path shows would hide the view.
fn refuse_path_of_a_view(path: &str, config: &Config) -> Result<(), ConfigError> {
    match config.views.iter().find(|view| view.path == path) {
        Some(view) => {
            let what = format!(
                "{path} is the path of the view {:?} too; give one of them another path",
                view.name
            );
            Err(ConfigError::of_setting("--web.telemetry-path", what))
        }
        None => Ok(()),
    }
}

/// The addresses are taken.
pub(super) struct Bound<'a> {
    checked: Checked<'a>,
    listeners: Vec<Listener>,
}

impl<'a> Bound<'a> {
    /// Keeps only the capabilities that loading needs, and loads the programs.
    pub(super) fn load(self) -> Result<Loaded<'a>, StartError> {
        let Self { checked, listeners } = self;
        let Checked {
            arguments,
            sources,
            wanted,
            kernel,
        } = checked;
        let permitted = kernel.keep_needed()?;
        let server = Server {
            arguments,
            sources,
            // Again, as it is read from now on: without the right to read what is for other users only.
            web: Arc::new(Web::read(arguments.web_config_file.as_deref())?),
            numbering: Numbering::new(&wanted.config),
            wanted,
            listeners,
            started: since_1970(),
        };
        let contents = setup::tables(&server.wanted.config, &server.numbering);
        tell_large_maps(server.wanted.config.limits.memory);
        Ok(Loaded {
            kernel: permitted.load(contents, Kernel::load)?,
            server,
        })
    }
}

/// All that a server has before it has threads, but for the programs.
struct Server<'a> {
    arguments: &'a ServeArguments,
    sources: Sources,
    wanted: Wanted,
    listeners: Vec<Listener>,
    web: Arc<Web>,
    numbering: Numbering,
    /// When the programs began to count, since 1970.
    started: Duration,
}

/// The programs run.
pub(super) struct Loaded<'a> {
    server: Server<'a>,
    kernel: start::Loaded<Kernel>,
}

impl<'a> Loaded<'a> {
    /// Gives up all capabilities.
    pub(super) fn drop_capabilities(self) -> Result<Unprivileged<'a>, StartError> {
        let Self { server, kernel } = self;
        let kernel = kernel.drop_capabilities()?;
        log(kernel.plan(), &server.wanted.config);
        Ok(Unprivileged { server, kernel })
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
    kernel: Kernel,
}

impl Unprivileged<'_> {
    pub(super) fn start(self) -> Result<Running, StartError> {
        let Self { server, mut kernel } = self;
        let Server {
            arguments,
            sources,
            wanted: Wanted { config, receiver },
            listeners,
            web,
            numbering,
            started,
        } = server;
        let host_off = setup::host_off(&config, why_another_namespace());
        warn_of(&host_off, &config);
        let coverage = setup::coverage(kernel.plan(), host_off.clone());
        let capabilities = setup::capabilities(kernel.plan(), &host_off);
        let tally = Arc::new(Tally::default());
        // Those that run tasks, and those for what takes long: an answer with many flows, a password.
        let runtime = threads::runtime("tcpvitals", 2, 4)?;
        let served = Arc::new(Served::new(config.limits.connections_per_peer));
        let others = Others {
            tally: Arc::clone(&tally),
            served: Arc::clone(&served),
        };
        let known = Arc::default();
        workloads::follow(&mut kernel, &config, &known)?;
        if let Some(note) = known.health.note() {
            tracing::info!("workloads: {note}");
        }
        let source = KernelSource::new(kernel, known, host_off, started)?;
        let collector = Arc::new(Collector::new(source.into(), &config, numbering, others, started)?);
        let files = Arc::new(Worker::start("tcpvitals-files", ()).map_err(|error| TooFew::new(1, error))?);
        let (destination, pushed_to) = watch::channel(receiver);
        let pushed = push::start(Arc::clone(&collector), tally, pushed_to)?;
        let reloader = Arc::new(Reloader::new(
            arguments.config_file.clone(),
            Arc::clone(&files),
            sources,
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
            web,
            flows: FlowAccess {
                enabled: arguments.enable_flows,
            },
            host: Host::read(),
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
