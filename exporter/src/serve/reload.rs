//! Re-reads the configuration file, and keys and certificates of the push, when somebody asks or they change; says in the log that it
//! began and how it ended. It must never read a file where anybody waits for an answer other than that: a thread of its own
//! does, and what was read is put in force afterwards, at once.

pub mod follow;

use crate::{
    client::tls,
    lifecycle::{setup, worker::Worker},
    serve::{
        collect::{Collector, ReloadError},
        push::{self, client::Receiver},
        watched::Watched,
    },
};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tcpvitals_config::{Config, ConfigError, OtlpSettings, SubnetFiles, file::files};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, watch},
    time::timeout,
};

/// Longest time for reading files: a disk or a server that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the pusher pushes, if anywhere.
type Destination = watch::Sender<Option<Arc<Receiver>>>;

/// How a reload ended, once it has.
type Next = watch::Receiver<Option<Result<(), Arc<ReloadError>>>>;

/// Who or what asks for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// SIGHUP
    Signal,
    /// `POST /-/reload`
    Request,
    /// A file is not what it was.
    Change,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Signal => "SIGHUP",
            Self::Request => "POST /-/reload",
            Self::Change => "a file changed",
        })
    }
}

/// A configuration that was read whole, with all that it needs.
#[derive(Debug)]
pub struct Wanted {
    /// What the file says.
    pub config: Config,
    /// Where and how to push, if at all.
    pub settings: Option<OtlpSettings>,
    /// Where that is, ready to be asked.
    pub receiver: push::Ready,
}

/// The files of an attempt to read a configuration, as they were just before.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    file: Watched,
    /// Files of networks, and where others may come.
    networks: Watched,
    files: SubnetFiles,
    keys: Watched,
}

impl Sources {
    /// Whether one of the files is another now. Blocks.
    fn have_changed(&self) -> bool {
        let files = self.files.expand().unwrap_or_default();
        let networks_changed = !self.networks.are_of(&files) || self.networks.have_changed();
        self.file.have_changed() || networks_changed || self.keys.have_changed()
    }
}

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The file; without one there is only the built-in configuration, or that of the recording.
    pub file: Option<PathBuf>,
    /// What the recording was made with that is served in place of a kernel.
    pub recorded: Option<Arc<Config>>,
    /// Path of the metrics, which no view can have.
    pub telemetry_path: String,
}

impl Origin {
    fn own_config(&self) -> Result<Config, ConfigError> {
        let config = match (&self.file, &self.recorded) {
            (None, Some(recorded)) => Config::clone(recorded),
            (file, None) => setup::own_config(file.as_deref())?,
            (Some(file), Some(recorded)) => setup::own_config(Some(file))?.measured_as(recorded),
        };
        self.refuse_path_of_a_view(&config)?;
        Ok(config)
    }

    /// What the metrics path shows would hide the view.
    fn refuse_path_of_a_view(&self, config: &Config) -> Result<(), ConfigError> {
        let path = &self.telemetry_path;
        let Some(view) = config.views.iter().find(|view| view.path == *path) else {
            return Ok(());
        };
        let name = &view.name;
        let what = format!("{path} is the path of the view {name:?} too; give one of them another path");
        Err(ConfigError::of_setting("--web.telemetry-path", what))
    }
}

/// Reads a configuration. Blocks.
///
/// # Errors
/// [`ConfigError`] as a sentence with place and remedy.
pub fn read(origin: &Origin) -> (Sources, Result<Wanted, ConfigError>) {
    let mut sources = Sources {
        file: Watched::look(origin.file.clone(), files::CONFIGURATION),
        ..Sources::default()
    };
    let mut read = || {
        let config = origin.own_config()?;
        // Where a folder is missing, it is looked for again.
        sources.files = config.subnets_files.clone();
        sources.networks = Watched::look(sources.files.expand()?, files::SUBNETS);
        let config = config.with_networks_of_files()?;
        let settings = push::settings(&config)?;
        sources.keys = keys_of(settings.as_ref());
        let receiver = push::receiver(settings.clone())?;
        setup::warn_of_missed(&config);
        Ok(Wanted {
            config,
            settings,
            receiver,
        })
    };
    let result = read();
    (sources, result)
}

/// The keys and certificates of a push as they are now; where none is named to trust, those of the system, too.
fn keys_of(settings: Option<&OtlpSettings>) -> Watched {
    let trusts_system = |settings: &&OtlpSettings| settings.target.is_encrypted() && settings.tls.ca_file.is_none();
    let of_system = settings.filter(trusts_system).map(|_| tls::of_system());
    let named = settings.into_iter().flat_map(OtlpSettings::files);
    Watched::look(named.chain(of_system.into_iter().flatten()), files::PEM)
}

/// Knows what to re-read, and who is to follow it.
#[derive(Debug)]
pub struct Reloader {
    origin: Origin,
    files: Arc<Worker<()>>,
    collector: Arc<Collector>,
    /// One reload after the other.
    turn: AsyncMutex<()>,
    /// The reload that has not begun yet: whoever asks meanwhile shares it.
    next: Mutex<Option<Next>>,
    reloaded: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// None once the pusher is to end.
    destination: Option<Destination>,
    /// Of the last attempt, which may have failed.
    sources: Sources,
    /// Where and how to push by the configuration in force, if at all.
    settings: Option<OtlpSettings>,
    /// The files that these name, as they were when they were last read.
    keys: Watched,
}

impl Reloader {
    /// Re-reads what `origin` names, by the thread `files`; what is in force comes from `sources`, and `settings` are of it.
    pub fn new(
        origin: Origin,
        files: Arc<Worker<()>>,
        sources: Sources,
        settings: Option<OtlpSettings>,
        collector: Arc<Collector>,
        destination: Destination,
    ) -> Self {
        Self {
            origin,
            files,
            collector,
            turn: AsyncMutex::default(),
            next: Mutex::default(),
            reloaded: Notify::new(),
            state: Mutex::new(State {
                destination: Some(destination),
                keys: sources.keys.clone(),
                settings,
                sources,
            }),
        }
    }

    /// The pusher pushes a last time and ends.
    pub fn end(&self) {
        self.state().destination.take();
    }

    /// Goes over to what the files say now, even if whoever asks does not wait for it. However many ask, one reload is under way and
    /// one is to come.
    ///
    /// # Errors
    /// [`ReloadError`]; then everything is as it was.
    pub async fn reload(self: &Arc<Self>, reason: Reason) -> Result<(), Arc<ReloadError>> {
        let mut next = self.next_reload(reason);
        let ended = next.wait_for(Option::is_some).await;
        ended.map_or_else(
            |_ended| Err(Arc::new(ReloadError::Ended)),
            |result| result.clone().unwrap_or(Ok(())),
        )
    }

    /// Of the reload that is to come; nobody has read a file for it yet.
    fn next_reload(self: &Arc<Self>, reason: Reason) -> Next {
        let mut next = lock(&self.next);
        if let Some(next) = &*next {
            return next.clone();
        }
        let (sender, receiver) = watch::channel(None);
        *next = Some(receiver.clone());
        let reloader = Arc::clone(self);
        tokio::spawn(async move {
            let result = reloader.reload_in_turn(reason).await.map_err(Arc::new);
            // Nobody may wait for it any more.
            sender.send_replace(Some(result));
        });
        receiver
    }

    /// Whether there are files to follow.
    pub fn has_files(&self, config_too: bool) -> bool {
        let state = self.state();
        (config_too && !state.sources.file.is_empty()) || !state.keys.is_empty()
    }

    /// Waits for a reload, which may name other files.
    pub async fn reloaded(&self) {
        self.reloaded.notified().await;
    }

    /// Follows files that have changed: the configuration if `config_too`, keys and certificates in force in any case.
    pub async fn follow(self: &Arc<Self>, config_too: bool) {
        let (sources, keys) = {
            let state = self.state();
            (state.sources.clone(), state.keys.clone())
        };
        let looked = self
            .files
            .ask(move |_| (config_too && sources.have_changed(), keys.have_changed()));
        match looked.await {
            // How it went stands in the log and in the metrics. Where it failed, keys that have changed are seen the next time.
            Ok((true, _)) => drop(self.reload(Reason::Change).await),
            Ok((false, true)) => self.renew().await,
            // It looks again, later.
            Ok((false, false)) | Err(_) => {}
        }
    }

    async fn reload_in_turn(&self, reason: Reason) -> Result<(), ReloadError> {
        let _turn = self.turn.lock().await;
        // Who asks from now on may have written a file after it is read.
        lock(&self.next).take();
        let origin = self.origin.clone();
        let named = origin
            .file
            .as_deref()
            .map_or_else(|| "built-in".into(), Path::to_string_lossy);
        tracing::info!(%reason, file = %named, "reloading the configuration");
        let read = self.files.ask(move |_| read(&origin));
        let wanted = match timeout(PATIENCE, read).await {
            Ok(Ok((sources, wanted))) => {
                self.state().sources = sources;
                wanted.map_err(ReloadError::Config)
            }
            Ok(Err(error)) => Err(ReloadError::NotRead(error)),
            Err(_elapsed) => Err(ReloadError::Slow(PATIENCE)),
        };
        let (config, push) = match wanted {
            Ok(Wanted {
                config,
                settings,
                receiver,
            }) => (Ok(config), Some((settings, receiver))),
            Err(error) => (Err(error), None),
        };
        let summary = config.as_ref().map(Config::summary).unwrap_or_default();
        let result = self.collector.reload(config).await;
        if let (Ok(_), Some((settings, receiver))) = (&result, push) {
            self.state().push_by(settings, receiver);
        }
        self.reloaded.notify_one();
        match result {
            Ok(_) => {
                tracing::info!("configuration reloaded: {summary}");
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "reload failed, the old configuration stays");
                Err(error)
            }
        }
    }

    /// The receiver of the configuration in force with keys and certificates as they are now.
    async fn renew(&self) {
        let _turn = self.turn.lock().await;
        let (settings, before) = {
            let state = self.state();
            (state.settings.clone(), state.keys.clone())
        };
        let renewed = self.files.ask(move |_| {
            let keys = before.look_again();
            (keys, settings.map(Receiver::new).transpose())
        });
        let Ok((keys, receiver)) = renewed.await else { return };
        let mut state = self.state();
        match receiver {
            Ok(receiver) => {
                state.push_to(receiver.map(Arc::new), keys);
                tracing::info!("keys and certificates of the push were read again");
            }
            Err(error) => {
                state.keys = keys;
                tracing::warn!(%error, "keys or certificates of the push are wrong; those before stay");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// It is whole even if whoever changed it panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Goes over to what the last attempt read of the push. A file of the environment that cannot be used ends no push: once it is
    /// another, it is read again.
    fn push_by(&mut self, settings: Option<OtlpSettings>, receiver: push::Ready) {
        self.settings = settings;
        let keys = self.sources.keys.clone();
        match receiver {
            Ok(receiver) => self.push_to(receiver, keys),
            Err(error) => {
                self.keys = keys;
                tracing::warn!("OTEL_EXPORTER_OTLP_*: {error}; until then the push stays as it was");
            }
        }
    }

    /// Leaves the pusher alone where nothing has changed.
    fn push_to(&mut self, receiver: Option<Arc<Receiver>>, keys: Watched) {
        let same_keys = self.keys == keys;
        self.keys = keys;
        let Some(destination) = &self.destination else { return };
        destination.send_if_modified(|current| {
            let same = match (&*current, &receiver) {
                (None, None) => true,
                (Some(old), Some(new)) => same_keys && old.settings() == new.settings(),
                (None, Some(_)) | (Some(_), None) => false,
            };
            if !same {
                *current = receiver;
            }
            !same
        });
    }
}

#[cfg(test)]
mod tests;
