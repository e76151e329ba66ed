//! A real terminal: a pane of tmux with a shell in it, whose keys are pressed and whose screen is read. Ends on drop.

use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};

use crate::machine::wait::until;

/// What the shell shows when it waits.
const PROMPT: &str = "ready> ";

/// A terminal.
#[derive(Debug)]
pub struct Terminal {
    /// Name of the tmux server, which has no other pane.
    server: String,
}

impl Terminal {
    /// Opens one of this size with a shell in a folder.
    pub fn open(columns: u16, rows: u16, folder: &Path) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let terminal = Self {
            server: format!("tcpvitals-{}-{number}", process::id()),
        };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let shell = format!("exec env PS1='{PROMPT}' sh");
        let folder = folder.to_str().context("a folder whose name is no text")?;
        terminal.tmux(&["new-session", "-d", "-x", &columns, "-y", &rows, "-c", folder, &shell])?;
        terminal.wait_for("the shell", |screen| screen.trim_end() == PROMPT.trim_end())?;
        Ok(terminal)
    }

    /// Types a text.
    pub fn type_text(&self, text: &str) -> Result<()> {
        self.tmux(&["send-keys", "-l", text]).map(drop)
    }

    /// Presses a key by tmux's name of it: `Enter`, `Tab`, `C-c`.
    pub fn press(&self, key: &str) -> Result<()> {
        self.tmux(&["send-keys", key]).map(drop)
    }

    /// Changes its size.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows]).map(drop)
    }

    /// What it shows.
    pub fn screen(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The same with the codes of colours and attributes.
    pub fn coloured_screen(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Waits until the screen is as wanted, and gives it.
    pub fn wait_for(&self, what: &str, is_so: impl Fn(&str) -> bool) -> Result<String> {
        let found = until(what, || {
            let screen = self.screen()?;
            Ok(is_so(&screen).then_some(screen))
        });
        found.with_context(|| format!("the screen is\n{}", self.screen().unwrap_or_default()))
    }

    fn tmux(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("tmux");
        command
            .args(["-u", "-f", "/dev/null", "-L", &self.server])
            .args(arguments);
        command.env("LC_ALL", "C.UTF-8").env_remove("TMUX");
        let output = command.output().context("start tmux: `tests/setup.sh e2e` brings it")?;
        ensure!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended with its shell; there is nobody to tell.
        self.tmux(&["kill-server"]).ok();
    }
}
