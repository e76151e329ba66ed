//! `serve`: wires the stages. What needs privileges comes first, on one thread; then they are given up, and the server runs.

pub mod collect;
pub mod http;
pub mod process;
pub mod push;
pub mod reload;
pub mod systemd;
pub mod web;

use crate::{
    cli::ServeArguments,
    lifecycle::{
        panics, setup,
        signals::{self, EndAtOnce},
        threads::{self, TooFew},
        worker::Worker,
    },
    serve::{
        collect::{CollectError, Collector, clock},
        http::{Service, api::access::FlowAccess, expositions::Expositions},
        process::TooFewDescriptors,
        push::pushes::Tally,
        reload::{Reason, Reloader, Wanted, follow::stay_current},
        web::{Connections, Web, served::Served},
    },
};
use std::{
    convert::Infallible,
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tcpvitals_config::{Config, ConfigError, numbering::Numbering};
use tcpvitals_kernel::{
    Kernel, LoadError,
    load::capabilities::{self, CapabilitiesError},
    plan::{self, Plan, Unsupported, purpose::Purpose},
    probe::features::{self, FeaturesError},
    sys::memory,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// Why the exporter does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be served.
    #[error("--web.listen-address={address}: {source}; choose an address of this host that nobody else serves")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
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
    /// The system gives too few threads.
    #[error(transparent)]
    Threads(#[from] TooFew),
    /// The system gives too few descriptors.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The server stopped.
    #[error("serve: {0}")]
    Serve(#[source] io::Error),
    /// Nothing can be drawn.
    #[error(
        "top draws on a terminal, and standard output is none; print once with `top --once --output json` or `--output text`"
    )]
    NoTerminal,
    /// The kernel could not be read again.
    #[error(transparent)]
    Collect(#[from] CollectError),
    /// A command that shows something cannot write, wait or use the terminal.
    #[error("show what the kernel says: {0}")]
    Live(#[source] io::Error),
}

impl RunError {
    /// The documented exit code: 2 for the configuration, 3 for what the kernel does not have or permit, 1 for the rest.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::NoTerminal => ExitCode::from(2),
            Self::Load(LoadError::EndAsked) => ExitCode::SUCCESS,
            Self::Features(_) | Self::Unsupported(_) | Self::Capabilities(_) | Self::Load(_) => ExitCode::from(3),
            Self::Listen { .. }
            | Self::Threads(_)
            | Self::Descriptors(_)
            | Self::Serve(_)
            | Self::Collect(_)
            | Self::Live(_) => ExitCode::from(1),
        }
    }
}

/// Descriptors that serving takes: one for each of 512 connections, and as many as the programs, their maps and a collection
/// need.
const LEAST_DESCRIPTORS: u64 = 640;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// [`RunError`]; nothing stays loaded.
pub fn serve(arguments: &ServeArguments) -> Result<(), RunError> {
    // Nobody has had an answer yet that would have to be finished.
    let starting = EndAtOnce::new().map_err(RunError::Serve)?;
    memory::keep_little();
    process::raise_descriptors(LEAST_DESCRIPTORS)?;
    let (sources, wanted) = reload::read(arguments.config_file.as_deref());
    let Wanted { config, receiver } = wanted?;
    let web_config_file = arguments.web_config_file.as_deref();
    Web::read(web_config_file)?;
    let btf = setup::btf_file(arguments.btf.as_deref());
    let (features, reasons) = features::read(&btf, &plan::tracepoints(), &plan::iterators())?;
    let plan = plan::plan(setup::selection(&config), &features, Purpose::Serve)?;
    let address = arguments.listen_address;
    let listener = bind(address).map_err(|source| RunError::Listen { address, source })?;
    let listens_on = listener.local_addr().map_err(RunError::Serve)?.ip();
    capabilities::keep_needed()?;
    // Again, as it is read from now on: without the right to read what is for other users only.
    let web = Arc::new(Web::read(web_config_file)?);
    let numbering = Numbering::new(&config);
    let started = clock();
    let kernel = Kernel::load(&setup::setup(&config, &numbering, reasons, btf), plan)?;
    capabilities::drop_all()?;
    tell(&kernel, &config);
    let coverage = setup::coverage(kernel.plan());
    let tally = Arc::new(Tally::default());
    // Those that run tasks, and those for what takes long: an answer with many flows, a password.
    let runtime = threads::runtime("tcpvitals", 2, 4)?;
    let served = Arc::new(Served::new(config.limits.connections_per_peer));
    let counted = (Arc::clone(&tally), Arc::clone(&served));
    let collector = Collector::new(kernel, &config, numbering, counted, started)?;
    let collector = Arc::new(collector);
    let files = Worker::start("tcpvitals-files", ()).map_err(|error| TooFew::new(1, error))?;
    let files = Arc::new(files);
    let (destination, pushed_to) = watch::channel(receiver);
    let pushed = push::start(Arc::clone(&collector), tally, pushed_to)?;
    let config_file = arguments.config_file.clone();
    let reloader = Reloader::new(
        config_file,
        Arc::clone(&files),
        sources,
        Arc::clone(&collector),
        destination,
    );
    let reloader = Arc::new(reloader);
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
        collector,
        expositions: Expositions::new(Arc::clone(&connections)),
        reloader: arguments.enable_lifecycle.then(|| Arc::clone(&reloader)),
        telemetry_path: arguments.telemetry_path.clone(),
        web,
        flows: FlowAccess::new(arguments.enable_flows, listens_on),
        release: features::release(),
        host: host(),
    };
    let watched = Watched {
        reloader: &reloader,
        files: &files,
        config_too: arguments.config_watch,
    };
    let served = runtime
        .block_on(listen(listener, service, connections, watched, starting))
        .map_err(RunError::Serve);
    // Whoever still serves or reloads holds a part of it; the pusher ends all the same.
    reloader.end();
    pushed.wait();
    // Whoever still reads the kernel or compares a password then is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

/// Name of this host; "" where the kernel does not tell.
fn host() -> String {
    let uname = nix::sys::utsname::uname();
    uname.map_or_else(
        |_| String::new(),
        |uname| uname.nodename().to_string_lossy().into_owned(),
    )
}

/// Every address means IPv4 alone where the kernel has no IPv6.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address) {
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) && address.ip().is_unspecified() => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port()))
        }
        bound => bound,
    }
}

/// What may be read again, and by whom.
struct Watched<'a> {
    reloader: &'a Arc<Reloader>,
    files: &'a Worker<()>,
    config_too: bool,
}

async fn listen(
    listener: TcpListener,
    service: Service,
    connections: Arc<Connections>,
    watched: Watched<'_>,
    starting: EndAtOnce,
) -> io::Result<()> {
    let web = Arc::clone(&service.web);
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let hangup = signal(SignalKind::hangup())?;
    drop(starting);
    // Those that came until now are handled now.
    signals::let_through()?;
    tracing::info!(
        address = %listener.local_addr()?,
        path = service.telemetry_path,
        tls = web.has_tls(),
        auth = web.has_auth(),
        "serving"
    );
    let stop = async move {
        let signal = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        systemd::stopping();
        tracing::info!(signal, "stopping; the programs are unloaded");
    };
    let collector = Arc::clone(&service.collector);
    let Watched {
        reloader,
        files,
        config_too,
    } = watched;
    // On a thread that runs tasks: those of connections then begin without another having to be woken.
    let serving = tokio::spawn(web::serve(
        listener,
        http::router(service),
        Arc::clone(&web),
        connections,
        stop,
    ));
    // Whoever connects from now on is waited for by the kernel.
    systemd::ready();
    tokio::select! {
        ended = serving => ended.map_err(io::Error::other)?,
        never = follow(hangup, reloader) => match never {},
        never = stay_current(reloader, &web, files, config_too) => match never {},
        never = systemd::stay_alive(&collector) => match never {},
    }
}

/// Reloads at every SIGHUP.
async fn follow(mut hangup: Signal, reloader: &Arc<Reloader>) -> Infallible {
    while hangup.recv().await.is_some() {
        systemd::reloading();
        // The log and a metric say how it went, too.
        match reloader.reload(Reason::Signal).await {
            Ok(()) => systemd::reloaded("the configuration is reloaded"),
            Err(error) => systemd::reloaded(&format!("the configuration stays as it was: {error}")),
        }
    }
    pending().await
}

/// What is missing without CAP_SYSLOG, and what to do.
pub(crate) const HIDDEN_SYMBOLS: &str = "the kernel hides its symbol addresses, so drop locations are unknown; give the process \
                                         CAP_SYSLOG, or set kernel.kptr_restrict=0 and kernel.perf_event_paranoid=1";

/// One line at the start: what runs, and what does not and why.
fn tell(kernel: &Kernel, config: &Config) {
    let Plan { programs, .. } = kernel.plan();
    let attached = programs.iter().filter(|planned| planned.off.is_none()).count();
    let off: Vec<String> = programs
        .iter()
        .filter_map(|planned| Some(format!("{}: {}", planned.name(), planned.off.as_ref()?)))
        .collect();
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
    if kernel.hides_symbols() {
        tracing::warn!("{HIDDEN_SYMBOLS}");
    }
}
