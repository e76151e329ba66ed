//! The server at work, until a signal ends it: requests, reloads and systemd.

use crate::{
    lifecycle::{
        signals::{self, EndAtOnce, Ends},
        worker::Worker,
    },
    serve::{
        http::{self, Service},
        listen::Listener,
        reload::{Reason, Reloader, follow::stay_current},
        systemd,
        web::{self, Connections, Listeners},
    },
};
use std::{
    convert::Infallible,
    future::pending,
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

/// All threads are there.
pub(super) struct Running {
    pub(super) runtime: Runtime,
    pub(super) listeners: Vec<Listener>,
    pub(super) service: Service,
    pub(super) connections: Arc<Connections>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) files: Arc<Worker<()>>,
    /// Set when the pusher has ended.
    pub(super) pushed: Arc<OnceLock<()>>,
    /// The configuration file is followed, as keys and certificates always are.
    pub(super) follows_config: bool,
}

impl Running {
    /// Serves until a signal ends it; from the first request on, that is in order.
    pub(super) fn serve(self, starting: EndAtOnce) -> io::Result<()> {
        let Self {
            runtime,
            listeners,
            service,
            connections,
            reloader,
            files,
            pushed,
            follows_config,
        } = self;
        let served = runtime.block_on(async {
            let web = Arc::clone(&service.web);
            let addresses: Vec<String> = listeners.iter().map(ToString::to_string).collect();
            let listeners = Listeners::new(listeners)?;
            let (mut ends, hangup) = (Ends::new()?, signal(SignalKind::hangup())?);
            drop(starting);
            // Those that came until now are handled now.
            signals::let_through()?;
            tracing::info!(
                address = addresses.join(","),
                path = service.telemetry_path,
                tls = web.has_tls(),
                auth = web.has_auth(),
                "serving"
            );
            // A recording has none.
            let programs = if service.about.notice.is_none() {
                "; the programs are unloaded"
            } else {
                ""
            };
            let stop = async move {
                let signal = ends.next().await;
                systemd::stopping();
                tracing::info!(signal, "stopping{programs}");
            };
            let collector = Arc::clone(&service.collector);
            // On a thread that runs tasks: those of connections then begin without another having to be woken.
            let serving = tokio::spawn(web::serve(
                listeners,
                http::router(service),
                Arc::clone(&web),
                connections,
                stop,
            ));
            // Whoever connects from now on is waited for by the kernel.
            systemd::ready();
            tokio::select! {
                ended = serving => ended.map_err(io::Error::other)?,
                never = follow(hangup, &reloader) => match never {},
                never = stay_current(&reloader, &web, &files, follows_config) => match never {},
                never = systemd::stay_alive(&collector) => match never {},
            }
        });
        // Whoever still serves or reloads holds a part of it; the pusher ends all the same.
        reloader.end();
        pushed.wait();
        // Whoever still reads the kernel or compares a password then is not waited for.
        runtime.shutdown_timeout(Duration::from_secs(1));
        served
    }
}

/// Reloads at every SIGHUP.
async fn follow(mut hangup: Signal, reloader: &Arc<Reloader>) -> Infallible {
    while hangup.recv().await.is_some() {
        systemd::reloading();
        // The log and a metric say how it went, too.
        match reloader.reload(Reason::Signal).await {
            Ok(()) => systemd::reloaded("configuration reloaded"),
            Err(error) => systemd::reloaded(&format!("reload failed, the old configuration stays: {error}")),
        }
    }
    pending().await
}
