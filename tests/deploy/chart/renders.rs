//! Each value set renders, byte for byte, what was looked at before; under each release of Helm the same.
//!
//! `make chart` writes the golden renders anew; look at the difference before you keep it.

use anyhow::Result;

use super::helm::{RELEASES, lint, render, value_sets};
use super::{require_file, top};

/// A render without the text of dashboards and rules, which are copies (`copies`).
fn without_copies(render: &str) -> String {
    let mut kept = String::new();
    let mut skipping = false;
    for line in render.lines() {
        // What is left out is indented deeper than the line that announces it.
        skipping &= line.is_empty() || line.starts_with("    ");
        if !skipping {
            kept.push_str(line);
            kept.push('\n');
        }
        skipping |= line.ends_with(".json: |") || line == "  groups:";
    }
    kept
}

#[test]
fn every_value_set_renders_its_golden_file() -> Result<()> {
    for (name, values) in value_sets()? {
        let [three, four] = RELEASES.map(|release| render(release, &values));
        let four = four?;
        assert_eq!(three?, four, "{name}");
        require_file(
            &top().join(format!("tests/golden/chart/{name}.yaml")),
            &without_copies(&four),
        )?;
    }
    Ok(())
}

#[test]
fn helm_has_nothing_against_any_value_set() -> Result<()> {
    for release in RELEASES {
        for (name, values) in value_sets()? {
            let finished = lint(release, &values)?;
            assert_eq!(finished.code, Some(0), "{release} {name}: {finished:?}");
            assert!(
                finished.stdout.contains("1 chart(s) linted, 0 chart(s) failed"),
                "{finished:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn copies_are_left_out_of_golden_files() {
    let render =
        "spec:\n  groups:\n    - name: a\n\n      rules: []\n---\ndata:\n  a.json: |\n    {\n    }\n---\nkind: B\n";
    assert_eq!(
        without_copies(render),
        "spec:\n  groups:\n---\ndata:\n  a.json: |\n---\nkind: B\n"
    );
}
