//! Pages for people: their links lead somewhere, and the files that they show are ones that the exporter takes.

use std::path::Path;

use anyhow::Result;
use tcpvitals_config::Config;

use crate::tree::{Complaints, File, check, shows, top};

fn is_page(path: &str) -> bool {
    path.ends_with(".md")
}

/// What the links of a page lead to, as it is written.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let links = text.split("](").skip(1);
    links
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://"))
}

/// Links within the repository lead to files and headings that are there.
fn links_lead_somewhere(file: &File) -> Complaints {
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let mut complaints = Complaints::new();
    for target in targets(&file.text) {
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let text = if path.is_empty() {
            Ok(file.text.clone())
        } else {
            let path = top().join(folder).join(path);
            match path.extension().is_some_and(|extension| extension == "md") {
                true => std::fs::read_to_string(path),
                false => std::fs::metadata(path).map(|_| String::new()),
            }
        };
        match text {
            Err(_) => complaints.push(format!("links to {target}, which is not there")),
            Ok(text) if !heading.is_empty() && !headings(&text).any(|own| own == heading) => {
                complaints.push(format!("links to {target}, which has no such heading"));
            }
            Ok(_) => {}
        }
    }
    complaints
}

/// Headings as links name them: small letters, digits and hyphens, which stand for blanks.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let kept = line
            .trim_start_matches('#')
            .trim()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.map(|letter| {
            if letter == ' ' {
                '-'
            } else {
                letter.to_ascii_lowercase()
            }
        })
        .collect()
    })
}

#[test]
fn every_link_leads_somewhere() -> Result<()> {
    check(is_page, links_lead_somewhere)?;
    let good = "# A b, c\n[a](#a-b-c) [b](LICENSE-MIT) [c](https://github.com/) [d](README.md#where-next) [e](docs)\n";
    for (bad, complaint) in [
        ("[a](nonesuch.md)\n", "nonesuch.md, which is not there"),
        ("[a](README.md#nonesuch)\n", "no such heading"),
        ("[a](#nonesuch)\n", "no such heading"),
    ] {
        shows(links_lead_somewhere, "a.md", bad, complaint, good);
    }
    Ok(())
}

/// How a block begins that is a configuration of the exporter.
const MARK: &str = "```yaml\n# tcpvitals\n";

fn shows_right_configurations(file: &File) -> Complaints {
    let blocks = file
        .text
        .split(MARK)
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let wrong = blocks.filter_map(|block| Config::from_yaml(block, &file.path).err());
    wrong
        .map(|error| format!("shows a wrong configuration: {error}"))
        .collect()
}

#[test]
fn every_configuration_that_is_shown_is_right() -> Result<()> {
    check(
        |path| path.starts_with("docs/") && is_page(path),
        shows_right_configurations,
    )?;
    let block = |text: &str| format!("Text.\n\n{MARK}{text}```\n");
    shows(
        shows_right_configurations,
        "docs/a.md",
        &block("subnet: []\n"),
        "unknown key",
        &block("subnets: []\n"),
    );
    Ok(())
}
