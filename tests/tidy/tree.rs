//! The source tree as text, and the parts of a source file.

use std::fs::{read, read_dir};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// A file of the repository.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// From the top of the repository on.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// What a rule says against a file.
pub(crate) type Complaints = Vec<String>;

/// The top of the repository.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text file but what is built and what git keeps for itself.
pub(crate) fn files() -> Result<Vec<File>> {
    let mut found = Vec::new();
    walk(&top(), "", &mut found)?;
    ensure!(found.len() > 100, "only {} files", found.len());
    found.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(found)
}

fn walk(folder: &Path, path: &str, found: &mut Vec<File>) -> Result<()> {
    for entry in read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry?;
        let path = format!("{path}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            if path != "target" && path != ".git" {
                walk(&entry.path(), &format!("{path}/"), found)?;
            }
        } else if let Ok(text) = String::from_utf8(read(entry.path()).with_context(|| format!("read {path}"))?) {
            found.push(File { path, text });
        }
    }
    Ok(())
}

/// Requires that a rule has nothing to say against the files that it is for, and that there are such files.
#[track_caller]
pub(crate) fn check(is_meant: impl Fn(&str) -> bool, rule: impl Fn(&File) -> Complaints) -> Result<()> {
    let meant: Vec<File> = files()?.into_iter().filter(|file| is_meant(&file.path)).collect();
    assert!(!meant.is_empty(), "the rule is for no file");
    let complaints: Vec<String> = meant
        .iter()
        .flat_map(|file| {
            rule(file)
                .into_iter()
                .map(|complaint| format!("{}: {complaint}", file.path))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    Ok(())
}

/// Requires that a rule says this against a file that breaks it, and nothing against one that does not.
#[track_caller]
pub(crate) fn shows(rule: impl Fn(&File) -> Complaints, path: &str, bad: &str, complaint: &str, good: &str) {
    let said = |text: &str| {
        rule(&File {
            path: path.to_owned(),
            text: text.to_owned(),
        })
    };
    let complaints = said(bad);
    assert!(
        complaints.iter().any(|said| said.contains(complaint)),
        "no {complaint:?} but {complaints:?} against\n{bad}"
    );
    assert_eq!(said(good), Complaints::new(), "against\n{good}");
}

/// Whether a file is product code in Rust, not a test of it.
pub(crate) fn is_product(path: &str) -> bool {
    let folder = [
        "common/src/",
        "ebpf/src/",
        "exporter/config/src/",
        "exporter/kernel/src/",
        "exporter/metrics/src/",
        "exporter/src/",
    ];
    let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
    path.ends_with(".rs") && folder.iter().any(|folder| path.starts_with(folder)) && !is_test
}

impl File {
    /// Its lines with their numbers, without test modules, which rustfmt ends with a brace at the margin.
    pub(crate) fn product(&self) -> Vec<(usize, &str)> {
        let mut kept = Vec::new();
        let mut lines = (1..).zip(self.text.lines()).peekable();
        while let Some((number, line)) = lines.next() {
            let module = lines
                .peek()
                .filter(|(_, next)| line == "#[cfg(test)]" && next.contains("mod "));
            match module.map(|(_, next)| next.ends_with('{')) {
                None => kept.push((number, line)),
                Some(false) => drop(lines.next()),
                Some(true) => while lines.next().is_some_and(|(_, line)| line != "}") {},
            }
        }
        kept
    }

    /// The same without comments.
    pub(crate) fn code(&self) -> Vec<(usize, &str)> {
        self.product()
            .into_iter()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .collect()
    }
}

/// Whether a text has this word, not as a part of another.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    text.split(|character: char| !character.is_alphanumeric() && character != '_')
        .any(|own| own == word)
}

#[test]
fn test_modules_and_comments_are_no_product_code() {
    let file = File {
        path: String::new(),
        text: "//! What.\n#[cfg(test)]\nextern crate std;\nfn a() {}\n#[cfg(test)]\nmod b {\n    fn c() {\n    }\n}\nfn d() {}\n#[cfg(test)]\nmod e;\n".to_owned(),
    };
    let code: Vec<&str> = file.code().into_iter().map(|(_, line)| line).collect();
    assert_eq!(code, ["#[cfg(test)]", "extern crate std;", "fn a() {}", "fn d() {}"]);
    assert!(has_word("use aya::maps", "aya") && !has_word("ayah", "aya"));
}
