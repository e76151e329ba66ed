//! The web configuration of the moment: read at the start, and again whenever one of its files has changed.
//! It must never serve with a file that is wrong: what was right before stays, and the log says why, once for each change.
//! Asked by the listener for each connection and by the guard for each request; that costs a look at each file's date.

use axum::http::HeaderMap;
use rustls::ServerConfig;
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    config::{Pem, WebConfig},
    guard,
    login::Login,
    rate::Buckets,
    tls,
};
use crate::yaml::{self, ConfigError, Problem, Source};

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
}

#[derive(Debug)]
struct State {
    current: Arc<Current>,
    /// The files that decide, as they were when they were last read, well or not.
    files: Vec<(PathBuf, Option<Stamp>)>,
}

impl Web {
    /// What the file says, or without one plain HTTP for everybody.
    ///
    /// # Errors
    /// [`ConfigError`] as a sentence with place and remedy.
    pub fn read(file: Option<&Path>) -> Result<Self, ConfigError> {
        let read = match file {
            Some(file) => Read::new(file, Vec::new()),
            None => Read {
                files: Vec::new(),
                result: Current::new(WebConfig::default())
                    .map_err(|problem| Source::new("", "--web.config.file").error(&problem)),
            },
        };
        let current = Arc::new(read.result?);
        let files = read.files;
        Ok(Self {
            file: file.map(Path::to_owned),
            state: Mutex::new(State { current, files }),
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
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file
            && state.files.iter().any(|(path, stamp)| Stamp::of(path) != *stamp)
        {
            // The first is the file itself.
            let named = state.files.iter().skip(1).map(|(path, _)| path.clone());
            let read = Read::new(file, named.collect());
            state.files = read.files;
            match read.result {
                Ok(new) => match new.config.gives_up(&state.current.config) {
                    None => {
                        tracing::info!(file = %file.display(), "the web configuration was read again");
                        state.current = Arc::new(new);
                    }
                    Some(key) => tracing::warn!(
                        file = %file.display(),
                        key,
                        "the web configuration would switch off a protection, which only a restart does; the one before stays"
                    ),
                },
                Err(error) => tracing::warn!(%error, "the web configuration is wrong; the one before stays"),
            }
        }
        Arc::clone(&state.current)
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
            headers: guard::headers(&config.headers),
            buckets: config.rate_limit.map(Buckets::new),
            config,
        })
    }
}

/// One attempt to read, and the files that it depended on.
struct Read {
    files: Vec<(PathBuf, Option<Stamp>)>,
    result: Result<Current, ConfigError>,
}

impl Read {
    /// Reads the file and those that it names. Where it does not say which, because it is wrong, those named `before` stay
    /// of interest.
    fn new(file: &Path, before: Vec<PathBuf>) -> Self {
        // Stamps are older than what is read: what changes in between is seen the next time.
        let mut files = stamps(vec![file.to_owned()]);
        let (named, result) = match parse(file) {
            Ok((text, config)) => {
                let named = stamps(named(&config));
                let name = file.display().to_string();
                let current = Current::new(config);
                (
                    named,
                    current.map_err(|problem| Source::new(&text, &name).error(&problem)),
                )
            }
            Err(error) => (stamps(before), Err(error)),
        };
        files.extend(named);
        Self { files, result }
    }
}

fn parse(file: &Path) -> Result<(String, WebConfig), ConfigError> {
    let text = yaml::text(file, "serve without --web.config.file")?;
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

fn stamps(files: Vec<PathBuf>) -> Vec<(PathBuf, Option<Stamp>)> {
    let stamp = |file: PathBuf| {
        let stamp = Stamp::of(&file);
        (file, stamp)
    };
    files.into_iter().map(stamp).collect()
}

/// What tells one state of a file from another without reading it. A copy that keeps size and time still has another
/// inode or change time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// None where there is no such file, or where it is out of reach.
    fn of(file: &Path) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}
