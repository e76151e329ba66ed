//! `demo`: serves a recording in place of a kernel. It loads nothing, reads no kernel and needs no privileges.
//! It must never be taken for a real host: log, page and status say what it is.

use crate::{
    cli::DemoArguments,
    lifecycle::exit::{Ends, Exit},
    serve::error::ServeError,
};
use std::{
    env, io,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};
use tcpvitals_config::{Config, ConfigError, file::files};
use tcpvitals_metrics::{
    families,
    recording::{About, MOST_BYTES, Pace, Player, Recording, Unreadable},
};

/// Where packages and the image have the recording.
const INSTALLED: &str = "/usr/share/tcpvitals/demo.rec";

/// Where it lies beside the program: installed below another folder, and where cargo compiles.
const BESIDE: [&str; 3] = [
    "../share/tcpvitals/demo.rec",
    "../../deploy/demo.rec",
    "../../../deploy/demo.rec",
];

/// Why nothing is replayed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There is no file where it could be.
    #[error(
        "finding the recording failed: it is at none of {}. Name one with --file; packages and the image have {INSTALLED}, the source \
         has deploy/demo.rec",
        .0.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    Absent(Vec<PathBuf>),
    /// The system does not give it.
    #[error("reading the recording {path} failed: {}. Name one with --file", why(.source))]
    Read {
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else.
    #[error("reading the recording {path} failed: {source}. Name one of this version with --file")]
    Recording { path: String, source: Unreadable },
    /// It is over by then.
    #[error("--at is too late: the recording is {} long. Choose a time before its end", humantime::format_duration(*.0))]
    Late(Duration),
    /// Its configuration is not one of this version.
    #[error("reading the configuration in the recording failed: {0}")]
    Config(#[from] ConfigError),
    /// It cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl Ends for DemoError {
    fn exit(&self) -> Exit {
        match self {
            Self::Serve(error) => error.exit(),
            Self::Late(_) => Exit::Usage,
            Self::Absent(_) | Self::Read { .. } | Self::Recording { .. } | Self::Config(_) => Exit::Failed,
        }
    }
}

/// What the system said, in words.
fn why(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOENT) => "there is no such file".to_owned(),
        Some(libc::EACCES) => "this user may not read it".to_owned(),
        Some(libc::EISDIR) => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}

/// A recording, and how it is replayed.
#[derive(Debug)]
pub struct Demo {
    recording: Recording,
    pace: Pace,
    /// The configuration that it was recorded with.
    pub config: Config,
}

impl Demo {
    /// Reads the recording.
    ///
    /// # Errors
    /// [`DemoError`]
    pub fn read(arguments: &DemoArguments) -> Result<Self, DemoError> {
        let path = match &arguments.file {
            Some(path) => path.clone(),
            None => find()?,
        };
        let named = || path.display().to_string();
        let bytes =
            files::read(&path, MOST_BYTES as u64).map_err(|source| DemoError::Read { path: named(), source })?;
        let recording = Recording::read(&bytes).map_err(|source| DemoError::Recording { path: named(), source })?;
        let from = arguments.at.unwrap_or(recording.about().entry);
        if from >= recording.length() {
            return Err(DemoError::Late(whole_seconds(recording.length())));
        }
        let pace = Pace {
            from,
            speed: arguments.speed,
        };
        let config = Config::from_yaml_checked(&recording.about().configuration, &named(), families::check)?;
        Ok(Self {
            recording,
            pace,
            config,
        })
    }

    /// What holds for all of it.
    pub fn about(&self) -> &About {
        self.recording.about()
    }

    /// What people have to know, as a sentence.
    pub fn notice(&self) -> String {
        let About { started, kernel, .. } = self.about();
        let at = humantime::format_rfc3339_seconds(UNIX_EPOCH + *started).to_string();
        let date = at.split('T').next().unwrap_or_default();
        format!("Demonstration: recorded on {date}, kernel {kernel}")
    }

    /// Replays from `now` on, since 1970.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn play(self, now: Duration) -> Result<Player, Unreadable> {
        Player::new(self.recording, self.pace, now)
    }
}

/// The first place where there is a recording.
fn find() -> Result<PathBuf, DemoError> {
    let program = env::current_exe().ok();
    let folder = program.as_deref().and_then(Path::parent);
    let beside = BESIDE.iter().filter_map(|path| Some(folder?.join(path)));
    let places: Vec<PathBuf> = beside.chain([INSTALLED.into()]).collect();
    let there = places.iter().find(|path| path.is_file()).cloned();
    there.ok_or(DemoError::Absent(places))
}

const fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}
