//! The web configuration of the moment: read at the start, and again whenever one of its files has changed.
//! It must never serve with a file that is wrong: what was right before stays, and the log says why, once for each change.
//! Asked by the listener for each connection and by the guard for each request, which never wait for a file: who watches files
//! brings what is new.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use rustls::ServerConfig;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

use crate::{
    lifecycle::worker::Worker,
    serve::{
        watched::Watched,
        web::{
            access::{login::Login, rate::Buckets},
            config::{Headers, Pem, WebConfig},
            transport::tls,
        },
    },
};
use tcpvitals_config::file::{self, ConfigError, Problem, Source, files};

/// One web configuration, ready to serve with.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) config: WebConfig,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) login: Login,
    pub(super) headers: HeaderMap,
    pub(super) buckets: Option<Buckets>,
}

/// The web configuration of the moment.
#[derive(Debug)]
pub struct Web {
    /// None without a file: then nothing changes.
    file: Option<PathBuf>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    current: Arc<Current>,
    /// The files that decide, as they were when they were last read, well or not.
    files: Watched,
}

impl Web {
    /// What the file says, or without one plain HTTP for everybody.
    ///
    /// # Errors
    /// [`ConfigError`] as a sentence with place and remedy.
    pub fn read(file: Option<&Path>) -> Result<Self, ConfigError> {
        let read = match file {
            Some(file) => Read::new(file, Watched::default()),
            None => Read {
                files: Watched::default(),
                result: Current::new(WebConfig::default())
                    .map_err(|problem| Source::new("", "--web.config.file").error(&problem)),
            },
        };
        let current = Arc::new(read.result?);
        let files = read.files;
        Ok(Self {
            file: file.map(Path::to_owned),
            state: Mutex::new(State { current, files }),
            changed: Notify::new(),
        })
    }

    /// Whether only those get an answer who prove who they are; what was so at the start stays so.
    pub fn has_auth(&self) -> bool {
        self.current().config.has_auth()
    }

    /// Whether connections speak TLS at this moment.
    pub fn has_tls(&self) -> bool {
        self.current().tls.is_some()
    }

    /// The configuration of the moment.
    pub(super) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.state().current)
    }

    /// Waits for another configuration; one asks.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether there is a file to follow.
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Goes over to what the files say, if they have changed; the thread `files` reads them.
    pub async fn follow(&self, files: &Worker<()>) {
        let Some(file) = self.file.clone() else { return };
        let before = self.state().files.clone();
        let read = move |_: &mut ()| before.have_changed().then(|| Read::new(&file, before));
        // It looks again, later.
        if let Ok(Some(read)) = files.ask(read).await {
            self.take(read);
        }
    }

    fn take(&self, read: Read) {
        let mut state = self.state();
        let file = self.file.as_deref().unwrap_or(Path::new("")).display();
        state.files = read.files;
        match read.result {
            Ok(new) => match new.config.gives_up(&state.current.config) {
                None => {
                    tracing::info!(%file, "the web configuration was read again");
                    state.current = Arc::new(new);
                    self.changed.notify_one();
                }
                Some(key) => tracing::warn!(
                    %file,
                    key,
                    "the web configuration would switch off a protection, which only a restart does; the one before stays"
                ),
            },
            Err(error) => tracing::warn!(%error, "the web configuration is wrong; the one before stays"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn new(config: WebConfig) -> Result<Self, Problem> {
        let tls = config
            .tls
            .as_ref()
            .map(|tls| tls::load(tls, config.http2))
            .transpose()?;
        Ok(Self {
            tls,
            login: Login::new(config.users.clone()),
            headers: headers(&config.headers),
            buckets: config.rate_limit.map(Buckets::new),
            config,
        })
    }
}

/// One attempt to read, and the files that it depended on.
struct Read {
    files: Watched,
    result: Result<Current, ConfigError>,
}

impl Read {
    /// Reads the file and those that it names. Where it does not say which, because it is wrong, those of `before` stay
    /// of interest.
    fn new(file: &Path, before: Watched) -> Self {
        // Looked at before they are read: what changes in between is seen the next time.
        let own = Watched::look([file.to_owned()], files::CONFIGURATION);
        match parse(file) {
            Ok((text, config)) => {
                let files = own.and(Watched::look(named(&config), files::PEM));
                let name = file.display().to_string();
                let current = Current::new(config);
                let result = current.map_err(|problem| Source::new(&text, &name).error(&problem));
                Self { files, result }
            }
            Err(error) => {
                let files = if before.is_empty() { own } else { before.look_again() };
                Self {
                    files,
                    result: Err(error),
                }
            }
        }
    }
}

fn parse(file: &Path) -> Result<(String, WebConfig), ConfigError> {
    let text = file::text(file, "serve without --web.config.file")?;
    let config = WebConfig::from_yaml(&text, file)?;
    Ok((text, config))
}

/// The files that a configuration names.
fn named(config: &WebConfig) -> Vec<PathBuf> {
    let tls = config.tls.iter();
    tls.flat_map(|tls| [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()])
        .flatten()
        .filter_map(|pem| match pem {
            Pem::File(_, path) => Some(path.clone()),
            Pem::Inline(..) => None,
        })
        .collect()
}

/// The headers as HTTP has them. All of them fit: the configuration has seen to it.
fn headers(headers: &Headers) -> HeaderMap {
    let pair = |(name, value): &(&'static str, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    headers.0.iter().filter_map(pair).collect()
}
