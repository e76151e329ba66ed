//! Workflows run what people run: targets of the Makefile. Which action runs is said by its commit, which nobody can move.

use std::fs::read_to_string;

use anyhow::Result;
use serde_json::Value;

use crate::tree::{Complaints, File, check, shows, top};

fn is_workflow(path: &str) -> bool {
    path.starts_with(".github/workflows/")
}

/// What the steps of a file have under a key.
fn of_steps<'a>(workflow: &'a Value, key: &'a str) -> impl Iterator<Item = &'a str> {
    let jobs = workflow["jobs"].as_object().into_iter().flatten();
    jobs.flat_map(|(_, job)| job["steps"].as_array().into_iter().flatten())
        .filter_map(move |step| step[key].as_str())
}

fn names_its_actions_by_commit(file: &File) -> Complaints {
    let Ok(workflow) = serde_yaml::from_str::<Value>(&file.text) else {
        return vec!["is no YAML".to_owned()];
    };
    let moves = |action: &&str| {
        let commit = action.split_once('@').map_or("", |(_, commit)| commit);
        commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let mut complaints: Complaints = of_steps(&workflow, "uses")
        .filter(moves)
        .map(|action| format!("{action} may be another action tomorrow; name its commit"))
        .collect();
    if workflow["permissions"].is_null() {
        complaints.push("has all permissions; say which it needs".to_owned());
    }
    complaints
}

#[test]
fn actions_are_named_by_commit() -> Result<()> {
    check(is_workflow, names_its_actions_by_commit)?;
    let step = |action: &str| format!("permissions: {{}}\njobs: {{a: {{steps: [{{uses: {action}}}]}}}}\n");
    let good = step("a/b@11bd71901bbe5b1630ceea73d27597364c9af683");
    let path = ".github/workflows/a.yml";
    shows(
        names_its_actions_by_commit,
        path,
        &step("a/b@v4"),
        "may be another",
        &good,
    );
    let bad = good.replace("permissions: {}\n", "");
    shows(names_its_actions_by_commit, path, &bad, "all permissions", &good);
    Ok(())
}

/// Targets that a workflow asks `make` for.
fn asks_for_targets_that_are_there(file: &File) -> Complaints {
    let makefile = read_to_string(top().join("Makefile")).unwrap_or_default();
    let workflow = serde_yaml::from_str::<Value>(&file.text).unwrap_or_default();
    let is_target = |word: &&str| {
        word.bytes()
            .all(|byte| byte.is_ascii_lowercase() || b"-_0-9".contains(&byte))
    };
    let mut complaints = Complaints::new();
    for line in of_steps(&workflow, "run").flat_map(str::lines) {
        let Some((_, words)) = line.split_once("make ") else {
            continue;
        };
        // What makes targets follows `make`; a package of that name is followed by others.
        if line.contains("apt-get") {
            continue;
        }
        for target in words.split_whitespace().filter(is_target) {
            if !makefile.contains(&format!("\n{target}:")) {
                complaints.push(format!("asks for make {target}, which is not there"));
            }
        }
    }
    complaints
}

#[test]
fn workflows_run_targets_of_the_makefile() -> Result<()> {
    check(is_workflow, asks_for_targets_that_are_there)?;
    let step = |run: &str| format!("jobs: {{a: {{steps: [{{run: '{run}'}}]}}}}\n");
    shows(
        asks_for_targets_that_are_there,
        ".github/workflows/a.yml",
        &step("sudo make setup-test nonesuch"),
        "make nonesuch, which",
        &step("make release TAG=\"$GITHUB_REF_NAME\""),
    );
    Ok(())
}

/// The other forms that GitHub reads are YAML too.
#[test]
fn forms_are_yaml() -> Result<()> {
    let is_form = |path: &str| path.starts_with(".github/") && path.ends_with(".yml");
    let is_yaml = |file: &File| {
        let parsed = serde_yaml::from_str::<serde_yaml::Value>(&file.text);
        parsed.err().map(|error| error.to_string()).into_iter().collect()
    };
    check(is_form, is_yaml)?;
    shows(is_yaml, ".github/a.yml", "a: 1\na: 2\n", "duplicate", "a: 1\n");
    Ok(())
}
