//! The strict fake of an API server that the tests of every change ask (`tests::kubernetes`), beside the real one: both get the same
//! requests, and their answers must have the same form.

use std::fs::write;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::exporter::run_command;
use tests::kubernetes::api::Server;
use tests::kubernetes::pods::Pod;

use super::Run;
use crate::exporter::NAMESPACE;
use crate::node::{API_PORT, NODE, Node};

const LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json";
const WATCH: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";
const WHOLE: &str = "application/json";

/// A request: what it is, what stands behind the path, the forms that are accepted, whether the token is right.
const REQUESTS: &[(&str, &str, &str, Who)] = &[
    (
        "a list of the cache",
        "&limit=50&resourceVersion=0",
        LIST,
        Who::Exporter,
    ),
    ("a page", "&limit=1", LIST, Who::Exporter),
    ("a list of whole pods", "&limit=1", WHOLE, Who::Exporter),
    (
        "a page that belongs to none",
        "&limit=1&continue=nonsense",
        LIST,
        Who::Exporter,
    ),
    (
        "a page with a version",
        "&limit=1&continue=nonsense&resourceVersion=5",
        LIST,
        Who::Exporter,
    ),
    (
        "a version that is no number",
        "&limit=1&resourceVersion=abc",
        LIST,
        Who::Exporter,
    ),
    ("a form that nobody has", "&limit=1", "text/html", Who::Exporter),
    (
        "the form of lists for a watch",
        "&watch=true&timeoutSeconds=1&resourceVersion=0",
        LIST,
        Who::Exporter,
    ),
    (
        "a watch of all",
        "&watch=true&timeoutSeconds=1&resourceVersion=0&allowWatchBookmarks=true",
        WATCH,
        Who::Exporter,
    ),
    (
        "a watch of whole pods",
        "&watch=true&timeoutSeconds=1&resourceVersion=0",
        WHOLE,
        Who::Exporter,
    ),
    (
        "a watch from a forgotten version",
        "&watch=true&timeoutSeconds=1&resourceVersion=1",
        WATCH,
        Who::Exporter,
    ),
    ("a list without a token", "&limit=1", LIST, Who::Nobody),
    ("a list with another token", "&limit=1", LIST, Who::Stranger),
    ("a list without the right", "&limit=1", LIST, Who::Unprivileged),
    (
        "a watch without the right",
        "&watch=true&timeoutSeconds=1&resourceVersion=0",
        WATCH,
        Who::Unprivileged,
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Exporter,
    Nobody,
    Stranger,
    Unprivileged,
}

/// Asks both.
pub(super) fn answers(run: &mut Run<'_>) -> Result<String> {
    let node = &run.node;
    let (token, weak) = (token(node, "vitals-tcpvitals")?, token(node, "default")?);
    let fake = Server::start(NODE)?;
    fake.put(Pod::new("shop", "a").of("ReplicaSet", "a").label("app", "a"));
    fake.put(Pod::new("shop", "b"));
    // What a server that was started a while ago does not know any more.
    fake.say_gone_by_event();
    let real = format!("https://127.0.0.1:{API_PORT}");
    let mut differences = Vec::new();
    let mut report = String::new();
    for (what, query, accept, who) in REQUESTS {
        let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{NODE}{query}");
        let real_token = match who {
            Who::Exporter => Some(&*token),
            Who::Nobody => None,
            Who::Stranger => Some("nonsense"),
            Who::Unprivileged => Some(&*weak),
        };
        let real = ask(
            Some(node),
            &format!("{real}{path}"),
            &node.access.file("ca.crt"),
            accept,
            real_token,
        )?;
        match who {
            Who::Unprivileged => fake.allow(&[]),
            _ => fake.allow(&[tests::kubernetes::api::Verb::List, tests::kubernetes::api::Verb::Watch]),
        }
        if *what == "a watch from a forgotten version" {
            fake.forget();
        }
        let fake_token = match who {
            Who::Exporter | Who::Unprivileged => Some("first"),
            Who::Nobody => None,
            Who::Stranger => Some("nonsense"),
        };
        let fake = ask(
            None,
            &format!("{}{path}", fake.url()),
            fake.authority(),
            accept,
            fake_token,
        )?;
        report.push_str(&format!("## {what}\nreal {real}\nfake {fake}\n\n"));
        if real != fake {
            differences.push(format!("{what}:\n  real {real}\n  fake {fake}"));
        }
    }
    write(node.file("answers.txt"), report)?;
    ensure!(
        differences.is_empty(),
        "the fake answers otherwise than the real one:\n{}",
        differences.join("\n")
    );
    Ok(format!(
        "{} requests: the same form of answer from both",
        REQUESTS.len()
    ))
}

/// A token of an account, as the kubelet gets it for a pod.
fn token(node: &Node, account: &str) -> Result<String> {
    let file = node.file("token-request.json");
    let request =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}});
    write(&file, request.to_string())?;
    let path = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token");
    let made = node.run(
        "kubectl",
        &["create", "--raw", &path, "--filename", &file.display().to_string()],
    )?;
    let made: Value = serde_json::from_str(&made)?;
    Ok(made["status"]["token"].as_str().context("no token")?.to_owned())
}

/// The form of an answer: status, kind of content, and of the objects what does not depend on the pods.
fn ask(node: Option<&Node>, url: &str, authority: &Path, accept: &str, token: Option<&str>) -> Result<String> {
    let mut command = match node {
        Some(node) => node.command("curl"),
        None => std::process::Command::new("curl"),
    };
    command.args([
        "--silent",
        "--max-time",
        "20",
        "--write-out",
        "\n%{http_code} %{content_type}",
        "--cacert",
    ]);
    command.arg(authority).arg("--header").arg(format!("Accept: {accept}"));
    if let Some(token) = token {
        command.arg("--header").arg(format!("Authorization: Bearer {token}"));
    }
    let finished = run_command(command.arg(url))?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let (body, status) = finished.stdout.rsplit_once('\n').context("no status")?;
    let mut forms: Vec<String> = Vec::new();
    for line in body.lines() {
        let form = serde_json::from_str::<Value>(line).map_or_else(|_| line.to_owned(), |object| form(&object));
        if forms.last() != Some(&form) {
            forms.push(form);
        }
    }
    Ok(format!("{status}: {}", forms.join(" ")))
}

fn form(object: &Value) -> String {
    if object["type"].is_string() {
        return format!("{} {}", object["type"], form(&object["object"]));
    }
    let keys = |value: &Value| -> String {
        let keys: Vec<&str> = value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect();
        keys.join(",")
    };
    let head = format!("{} {} [{}]", object["kind"], object["apiVersion"], keys(object));
    match object["kind"].as_str() {
        Some("Status") => {
            let message: String = object["message"]
                .as_str()
                .unwrap_or_default()
                .chars()
                .map(|c| if c.is_ascii_digit() { '0' } else { c })
                .collect();
            format!("{head} {} {} {message}", object["reason"], object["code"])
        }
        Some(kind) if kind.ends_with("List") => {
            format!(
                "{head} metadata [{}], of {}",
                keys(&object["metadata"]),
                object["items"][0]["kind"]
            )
        }
        _ => head,
    }
}
