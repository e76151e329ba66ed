//! Reads what `tmux capture-pane -e -p` gives on standard input, and writes a picture of the terminal, an SVG.

use std::io::{self, Read as _, Write as _};

use anyhow::Result;
use tests::readers::picture::svg;

fn main() -> Result<()> {
    let mut screen = String::new();
    io::stdin().read_to_string(&mut screen)?;
    io::stdout().write_all(svg(&screen)?.as_bytes())?;
    Ok(())
}
