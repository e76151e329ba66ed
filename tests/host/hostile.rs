//! The table of attacks: every attack has a test, every test of the folder is in the table, and `docs/security.md` shows it.
//!
//! `UPDATE=1 cargo test -p tests --test host` writes it there.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::Path;

use anyhow::{Context as _, Result};
use tests::machine::hostile::{ATTACKS, markdown};

use crate::golden::require_section;

const BEGIN: &str = "<!-- The table of attacks: tests/src/machine/hostile.rs -->\n";
const END: &str = "<!-- End of the table -->\n";

#[test]
fn every_attack_has_a_test_and_the_other_way_round() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernel/hostile");
    let mut tests = BTreeSet::new();
    for entry in read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
        let text = read_to_string(entry?.path())?;
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if line == "#[test]"
                && let Some(line) = lines.find(|line| !line.starts_with("#["))
                && let Some(name) = line.strip_prefix("fn ")
            {
                tests.extend(name.split('(').next().map(str::to_owned));
            }
        }
    }
    let attacks: BTreeSet<String> = ATTACKS.iter().map(|attack| attack.test.to_owned()).collect();
    assert_eq!(attacks.len(), ATTACKS.len(), "an attack is in the table twice");
    assert_eq!(attacks, tests);
    Ok(())
}

#[test]
fn the_page_on_security_has_the_table() -> Result<()> {
    require_section("docs/security.md", BEGIN, END, &markdown())
}
