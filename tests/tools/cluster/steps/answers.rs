//! The strict fake of an API server that the tests of every change ask (`tests::kubernetes`), beside the real one: both get the same
//! requests, and their answers must have the same form.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::write;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::exporter::run_command;
use tests::kubernetes::api::{Server, Verb};
use tests::kubernetes::pods::Pod;

use super::Run;
use super::api_server::restart;
use crate::exporter::NAMESPACE;
use crate::node::{API_PORT, NODE, Node};
use crate::objects::SHOP;
use crate::programs::FIRST_KEY;

const LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json";
const WATCH: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";
const WHOLE: &str = "application/json";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// The exporter's account.
    Exporter,
    /// Without a token.
    Nobody,
    /// With a token that is none.
    Stranger,
    /// An account without rights.
    Unprivileged,
}

use Who::{Exporter, Nobody, Stranger, Unprivileged};

/// What is asked, its parameters besides the node, the forms that are accepted, and who asks. `NEXT` stands for the token of the page.
const REQUESTS: &[(&str, &str, &str, Who)] = &[
    ("a list of the cache", "limit=1&resourceVersion=0", LIST, Exporter),
    ("a page", "limit=1", LIST, Exporter),
    ("the next page", "limit=1&continue=NEXT", LIST, Exporter),
    ("a list of whole pods", "limit=1", WHOLE, Exporter),
    ("a page after none", "limit=1&continue=bm9uc2Vuc2U", LIST, Exporter),
    (
        "a page with a version",
        "limit=1&continue=NEXT&resourceVersion=5",
        LIST,
        Exporter,
    ),
    ("no version", "limit=1&resourceVersion=abc", LIST, Exporter),
    ("a form that nobody has", "limit=1", "text/html", Exporter),
    (
        "a watch",
        "watch=true&timeoutSeconds=5&resourceVersion=0&allowWatchBookmarks=true",
        WATCH,
        Exporter,
    ),
    (
        "a watch of whole pods",
        "watch=true&timeoutSeconds=1&resourceVersion=0",
        WHOLE,
        Exporter,
    ),
    (
        "a watch from a forgotten version",
        "watch=true&timeoutSeconds=1&resourceVersion=2",
        WATCH,
        Exporter,
    ),
    ("a list without a token", "limit=1", LIST, Nobody),
    ("a list with another token", "limit=1", LIST, Stranger),
    ("a list without the right", "limit=1", LIST, Unprivileged),
    (
        "a watch without the right",
        "watch=true&timeoutSeconds=1&resourceVersion=0",
        WATCH,
        Unprivileged,
    ),
];

/// Asks both.
pub(super) fn answers(run: &mut Run<'_>) -> Result<String> {
    // Its cache then begins with now.
    restart(run, FIRST_KEY)?;
    let node = &run.node;
    let fake = Server::start(NODE)?;
    fake.put(Pod::new("shop", "a").of("ReplicaSet", "a").label("app", "a"));
    fake.forget();
    fake.put(Pod::new("shop", "b"));
    fake.say_gone_by_event();
    let real = Asked {
        node: Some(node),
        server: format!("https://127.0.0.1:{API_PORT}"),
        authority: node.access.file("ca.crt"),
        token: token(node, "vitals-tcpvitals")?,
        weak: token(node, "default")?,
    };
    let own = Asked {
        node: None,
        server: fake.url(),
        authority: fake.authority().to_owned(),
        token: "first".to_owned(),
        weak: "first".to_owned(),
    };
    let next = [real.next()?, own.next()?];
    let (mut report, mut different) = (String::new(), 0);
    for &(what, query, accept, who) in REQUESTS {
        let allowed: &[Verb] = if who == Unprivileged {
            &[]
        } else {
            &[Verb::List, Verb::Watch]
        };
        fake.allow(allowed);
        let ask = |asked: &Asked<'_>, next: &str| Ok(asked.ask(&query.replace("NEXT", next), accept, who)?.0);
        let has_bookmarks = query.contains("allowWatchBookmarks");
        let (real, own): (Result<String>, Result<String>) = thread::scope(|scope| {
            if has_bookmarks {
                // A real one sends the last some seconds before the end, if it has heard of any change.
                scope.spawn(|| {
                    thread::sleep(Duration::from_secs(1));
                    let all = [
                        "--namespace",
                        SHOP,
                        "annotate",
                        "--overwrite",
                        "pods",
                        "--all",
                        "changed=now",
                    ];
                    node.run("kubectl", &all).ok();
                });
            }
            let real = ask(&real, &next[0]);
            if has_bookmarks {
                scope.spawn(|| {
                    thread::sleep(Duration::from_secs(1));
                    fake.bookmark();
                });
            }
            (real, ask(&own, &next[1]))
        });
        let (real, own) = (real?, own?);
        if real != own {
            different += 1;
            write!(report, "DIFFERENT ")?;
        }
        writeln!(report, "{what}\n  real {real}\n  fake {own}")?;
    }
    write(node.file("answers.txt"), &report)?;
    ensure!(
        different == 0,
        "the fake answers otherwise than the real one:\n{report}"
    );
    Ok(format!("{} requests, the same form of answer to each", REQUESTS.len()))
}

/// A token of an account, as the kubelet gets it for a pod.
fn token(node: &Node, account: &str) -> Result<String> {
    let file = node.file("token-request.json");
    let request =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}});
    write(&file, request.to_string())?;
    let path = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token");
    let file = file.display().to_string();
    let made: Value = serde_json::from_str(&node.run("kubectl", &["create", "--raw", &path, "--filename", &file])?)?;
    Ok(made["status"]["token"].as_str().context("no token")?.to_owned())
}

/// A server to ask.
struct Asked<'a> {
    /// Where it can be asked.
    node: Option<&'a Node>,
    server: String,
    authority: PathBuf,
    /// Of the exporter's account.
    token: String,
    /// Of one without rights.
    weak: String,
}

impl Asked<'_> {
    /// The token of the second page.
    fn next(&self) -> Result<String> {
        let (_, body) = self.ask("limit=1", LIST, Exporter)?;
        let list: Value = serde_json::from_str(&body)?;
        let next = list["metadata"]["continue"].as_str().context("no second page")?;
        Ok(next.replace('/', "%2F").replace('=', "%3D"))
    }

    /// The form of an answer: status, kind of content, and of the objects what does not depend on the pods; and the answer itself.
    fn ask(&self, query: &str, accept: &str, who: Who) -> Result<(String, String)> {
        let mut command = self
            .node
            .map_or_else(|| Command::new("curl"), |node| node.command("curl"));
        command.args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--write-out",
            "\n%{http_code} %{content_type}",
        ]);
        // For some that it takes for people it puts in line ends.
        command
            .args(["--user-agent", "tcpvitals", "--cacert"])
            .arg(&self.authority);
        command.arg("--header").arg(format!("Accept: {accept}"));
        let token = match who {
            Nobody => None,
            Exporter => Some(&*self.token),
            Stranger => Some("nonsense"),
            Unprivileged => Some(&*self.weak),
        };
        if let Some(token) = token {
            command.arg("--header").arg(format!("Authorization: Bearer {token}"));
        }
        let url = format!(
            "{}/api/v1/pods?fieldSelector=spec.nodeName%3D{NODE}&{query}",
            self.server
        );
        let finished = run_command(command.arg(url))?;
        ensure!(finished.code == Some(0), "{query}: {finished:?}");
        let (body, status) = finished.stdout.rsplit_once('\n').context("no status")?;
        let forms: BTreeSet<String> = match serde_json::from_str::<Value>(body) {
            Ok(object) if !object["type"].is_string() => [object_form(&object)].into(),
            _ => body.lines().map(form).collect(),
        };
        let forms: Vec<String> = forms.into_iter().collect();
        Ok((format!("{status}: {}", forms.join("; ")), body.to_owned()))
    }
}

fn form(line: &str) -> String {
    match serde_json::from_str::<Value>(line) {
        Err(_) => line.to_owned(),
        // Pods may change meanwhile.
        Ok(event) if event["type"] == "MODIFIED" => format!("\"ADDED\" {}", object_form(&event["object"])),
        Ok(event) if event["type"].is_string() => format!("{} {}", event["type"], object_form(&event["object"])),
        Ok(object) => object_form(&object),
    }
}

fn object_form(object: &Value) -> String {
    let keys = |value: &Value| {
        let keys: BTreeSet<&str> = value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect();
        keys.into_iter().collect::<Vec<_>>().join(" ")
    };
    let [kind, group] = ["kind", "apiVersion"].map(|key| object[key].as_str().unwrap_or_default());
    let form = format!("{group} {kind} with {}", keys(object));
    match kind {
        "Status" => {
            let message = object["message"].as_str().unwrap_or_default();
            format!(
                "{form}, {} {} {}: {}",
                object["code"],
                object["reason"],
                object["details"],
                of_anybody(message)
            )
        }
        kind if kind.ends_with("List") => {
            let items = object["items"].as_array().map_or(0, Vec::len);
            let many = if items > 1 { "several" } else { "one" };
            format!(
                "{form}, metadata with {}, {many} with {}",
                keys(&object["metadata"]),
                keys(&object["items"][0])
            )
        }
        _ => form,
    }
}

/// A message without what differs: numbers, and who asks.
fn of_anybody(message: &str) -> String {
    if let Some((beginning, _)) = message.split_once("continue key is not valid") {
        return format!("{beginning}continue key is not valid");
    }
    let mut text = String::new();
    for part in message.split_inclusive(|character: char| !character.is_alphanumeric()) {
        let is_number = part.starts_with(|character: char| character.is_ascii_digit());
        text.push_str(if is_number { "0" } else { part });
        if is_number {
            text.extend(part.chars().last().filter(|character| !character.is_alphanumeric()));
        }
    }
    let mut quoted: Vec<String> = text.split('"').map(str::to_owned).collect();
    for user in quoted
        .iter_mut()
        .filter(|part| part.starts_with("system:serviceaccount:"))
    {
        *user = "…".to_owned();
    }
    quoted.join("\"")
}
