//! `explain`: what is wrong, in sentences, worst first; or what a word means: a drop reason, a finding, an alert.
//!
//! It looks for itself for some seconds, or asks an exporter that runs. The words come from the binary and need nothing.

mod peer;

use crate::{
    cli::{Output, explain::ExplainArguments, filters::Filters},
    commands::{
        live::{self, LiveError},
        remote::{Remote, RemoteError},
        words::wrapped,
    },
    lifecycle::exit::{Ends, Exit},
    serve::http::{api::FINDINGS, runbooks},
};
use serde_json::json;
use std::{
    fmt::Write,
    io::{self, IsTerminal},
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tcpvitals_config::TcpLabel;
use tcpvitals_metrics::{
    findings::{
        SHORTEST,
        dictionary::{self, Entry},
        report::{Finding, Report, State},
        rules::{self, Rule},
    },
    labels::NO_SUBNET,
};
use tokio::time::sleep;

use peer::{Flows, Peer};

/// For how long an exporter may show its last collection.
const MOMENT: Duration = Duration::from_secs(2);

/// What is said, and how the command ends.
#[derive(Debug)]
pub struct Answer {
    pub text: String,
    pub exit: Exit,
}

/// Why nothing is explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    #[error("{0}")]
    Topic(String),
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// There was no judgement.
    #[error("no findings were computed; try again")]
    Off,
}

impl Ends for ExplainError {
    fn exit(&self) -> Exit {
        match self {
            Self::Topic(_) => Exit::Usage,
            Self::Off => Exit::Failed,
            Self::Live(error) => error.exit(),
            Self::Remote(error) => error.exit(),
        }
    }
}

/// What is to be explained.
enum Topic<'a> {
    Everything,
    Subnet(&'a str),
    Workload(&'a str),
    Reason(&'a str),
    /// A peer, by its address and perhaps its port.
    Peer(Peer),
    Rule(&'static Rule),
    Page(&'static str),
}

impl Topic<'_> {
    /// Whether a finding is about it, as far as names tell.
    fn is_of(&self, finding: &Finding) -> bool {
        match self {
            // The subnet of peers that a listener turned away is unknown.
            Self::Subnet(NO_SUBNET) => finding.subnet.is_empty(),
            Self::Subnet(name) => finding.subnet == *name,
            Self::Workload(name) => finding.workloads.iter().any(|own| is_workload(own, name)),
            Self::Everything | Self::Reason(_) | Self::Peer(_) | Self::Rule(_) | Self::Page(_) => true,
        }
    }
}

/// Whether a workload has a name: with its namespace or without.
fn is_workload(own: &str, name: &str) -> bool {
    own == name || own.split_once('/').is_some_and(|(_, alone)| alone == name)
}

/// Explains, on a terminal in lines that are no wider than it is.
///
/// # Errors
/// [`ExplainError`] as a sentence with the remedy.
pub fn run(arguments: &ExplainArguments) -> Result<Answer, ExplainError> {
    let answer = answer(arguments)?;
    let terminal = io::stdout().is_terminal().then(ratatui::crossterm::terminal::size);
    let text = match (arguments.output, terminal) {
        (Output::Text, Some(Ok((width, _)))) if width > 0 => wrapped(&answer.text, width.into()),
        _ => answer.text,
    };
    Ok(Answer { text, ..answer })
}

fn answer(arguments: &ExplainArguments) -> Result<Answer, ExplainError> {
    let words: Vec<&str> = arguments.topic.iter().map(String::as_str).collect();
    let mut peer = None;
    let mut names = Filters::default();
    let topic = topic(&words)?;
    match topic {
        Topic::Peer(own) => peer = Some(own),
        Topic::Page(page) => return Ok(asked(page.to_owned())),
        Topic::Reason(reason) => return Ok(asked(of_reason(reason, arguments.output))),
        Topic::Rule(rule) => return Ok(asked(of_rule(rule, arguments.output))),
        Topic::Subnet(name) => names.flows.values.push((TcpLabel::Subnet, vec![name.to_owned()])),
        Topic::Workload(name) => names.flows.values.push((TcpLabel::Workload, vec![name.to_owned()])),
        Topic::Everything => {}
    }
    let (mut report, flows) = match &arguments.from {
        Some(from) => ask(from, arguments, peer)?,
        None => look(arguments, peer, &names)?,
    };
    report
        .findings
        .retain(|finding| topic.is_of(finding) && flows.are_hit_by(finding));
    let text = match (arguments.output, peer) {
        (Output::Json, None) => format!("{}\n", json!(report)),
        (Output::Json, Some(_)) => format!("{}\n", json!({ "flows": flows.live, "report": report })),
        (Output::Text, None) => report.to_string(),
        (Output::Text, Some(_)) => format!("{flows}\n{report}"),
    };
    let exit = match (report.state, report.findings.is_empty()) {
        (State::NotYet, _) => Exit::Failed,
        (State::Judged, true) => Exit::Asked,
        (State::Judged, false) => Exit::Findings,
    };
    Ok(Answer { text, exit })
}

const fn asked(text: String) -> Answer {
    Answer {
        text,
        exit: Exit::Asked,
    }
}

fn topic<'a>(words: &[&'a str]) -> Result<Topic<'a>, ExplainError> {
    const HELP: &str = "explain subnet NAME, workload NAME, ADDRESS or ADDRESS:PORT of a peer, a drop reason such as QDISC_DROP, a finding such as network_loss, or the name of an alert";
    match words {
        [] => Ok(Topic::Everything),
        ["subnet", name] => Ok(Topic::Subnet(name)),
        ["workload", name] => Ok(Topic::Workload(name)),
        [word] => {
            if let Some(page) = runbooks::page(word) {
                Ok(Topic::Page(page))
            } else if let Some(rule) = rules::rule(word) {
                Ok(Topic::Rule(rule))
            } else if let Some(peer) = address(word) {
                Ok(Topic::Peer(peer))
            } else if is_reason(word) {
                Ok(Topic::Reason(word))
            } else {
                Err(ExplainError::Topic(format!("nothing is known of {word:?}; {HELP}")))
            }
        }
        words => {
            let words = words.join(" ");
            Err(ExplainError::Topic(format!("{words:?} is no topic; {HELP}")))
        }
    }
}

/// An address, or one with a port.
fn address(word: &str) -> Option<Peer> {
    let alone = word.parse().ok().map(|address: IpAddr| (address.to_canonical(), None));
    alone.or_else(|| {
        let both: SocketAddr = word.parse().ok()?;
        Some((both.ip().to_canonical(), Some(both.port())))
    })
}

/// Drop reasons are written in capitals, with a subsystem before them here and there.
fn is_reason(word: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"_:".contains(&byte);
    !word.is_empty() && word.bytes().all(known)
}

fn of_reason(reason: &str, output: Output) -> String {
    let entry = dictionary::look_up(reason);
    match (output, entry) {
        (Output::Json, entry) => format!("{}\n", json!({ "reason": reason, "entry": entry })),
        (
            Output::Text,
            Some(Entry {
                meaning, causes, first, ..
            }),
        ) => {
            format!("{reason}: {meaning}\n  usual causes: {causes}\n  first:        {first}\n")
        }
        (Output::Text, None) => {
            let words = dictionary::in_words(reason);
            format!(
                "{reason}: by its name, {words}; the dictionary does not have it\n  first:        tcpvitals drops --reason {reason}\n"
            )
        }
    }
}

fn of_rule(rule: &Rule, output: Output) -> String {
    let Rule {
        name,
        whose,
        floor,
        says,
        next,
        runbook,
        ..
    } = rule;
    if output == Output::Json {
        let floor = json!({ "rate": floor.rate, "share": floor.share });
        let rule =
            json!({ "finding": name, "whose": whose, "says": says, "floor": floor, "next": next, "runbook": runbook });
        return format!("{rule}\n");
    }
    let mut text = format!("{name} ({}): {says}\n", whose.as_str().to_uppercase());
    // Writing to a string does not fail.
    let _infallible = writeln!(
        text,
        "  floors:  {} a second, {} % of what could have been one\n  next:    {next}\n  runbook: tcpvitals explain {runbook}",
        floor.rate,
        100.0 * floor.share
    );
    text
}

fn ask(from: &str, arguments: &ExplainArguments, peer: Option<Peer>) -> Result<(Report, Flows), ExplainError> {
    let remote = Remote::new(from, arguments.login_file.as_deref(), arguments.ca_file.as_deref())?;
    let read = || -> Result<Report, ExplainError> {
        let body = remote.get(FINDINGS)?;
        Ok(serde_json::from_slice(&body).map_err(|error| remote.unreadable(&error))?)
    };
    let mut report = read()?;
    if report.state == State::NotYet {
        // It has just started: a moment more than what is missing, since it answers from its last collection.
        let missing = SHORTEST.saturating_sub(Duration::from_secs_f64(report.window_seconds.clamp(0.0, 60.0)));
        std::thread::sleep(missing + MOMENT);
        report = read()?;
    }
    let Some(peer) = peer else {
        return Ok((report, Flows::default()));
    };
    let body = remote.get(&peer::path(peer))?;
    let page: serde_json::Value = serde_json::from_slice(&body).map_err(|error| remote.unreadable(&error))?;
    let flows = page["flows"].as_array().into_iter().flatten().cloned();
    Ok((report, Flows::to(peer, flows)))
}

/// A subnet in `names` must be in the configuration; a workload there asks for workloads that are told apart.
fn look(arguments: &ExplainArguments, peer: Option<Peer>, names: &Filters) -> Result<(Report, Flows), ExplainError> {
    let config = live::judging(arguments.config_file.as_deref(), names)?;
    let subnet = peer.map(|(address, _)| peer::subnet(&config.subnets, address));
    let (collector, runtime) = live::start(config, arguments.btf.as_deref(), names)?;
    runtime.block_on(async {
        collector.collect(true).await.map_err(LiveError::from)?;
        sleep(arguments.length).await;
        let collection = collector.collect(true).await.map_err(LiveError::from)?;
        let report = collection.findings.ok_or(ExplainError::Off)?;
        let flows = match peer {
            None => Flows::default(),
            Some(peer) => {
                let flows = collector.flows().await.map_err(LiveError::from)?;
                Flows {
                    subnet,
                    ..Flows::to(peer, flows.iter().map(|flow| flow.json().into()))
                }
            }
        };
        Ok(((*report).clone(), flows))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(subnet: &str, workloads: &[&str]) -> Finding {
        serde_json::from_value(json!({
            "finding": "refused", "whose": "peer", "subnet": subnet, "severity": 1.0, "rate": 1.0, "share": 0.1, "says": "",
            "services": [], "workloads": workloads, "sites": [], "next": "", "runbook": "",
            "since": { "at_seconds": 0.0, "or_before": true }
        }))
        .unwrap()
    }

    #[test]
    fn findings_are_those_of_the_topic() {
        let all = [
            finding("office", &["shop/web", "shop/api", "shop/pay", "shop/cart"]),
            finding("lab", &["cart", "web/cart-2"]),
            finding("", &[]),
        ];
        for (words, expected) in [
            (&[][..], [true, true, true]),
            (&["subnet", "office"], [true, false, false]),
            (&["subnet", "none"], [false, false, true]),
            (&["workload", "cart"], [true, true, false]),
            (&["workload", "shop/cart"], [true, false, false]),
            (&["workload", "shop"], [false, false, false]),
        ] {
            let topic = topic(words).unwrap();
            let chosen = [0, 1, 2].map(|place: usize| topic.is_of(&all[place]));
            assert_eq!(chosen, expected, "{words:?}");
        }
    }
}
