//! Why a program does not run: what the configuration or the kernel decides is no alert, and every other reason is one.

use anyhow::{Context as _, Result};
use common::map::detail::Detail;
use serde_json::json;
use tcpvitals_kernel::plan::off::Off;
use tests::readers::rules::rules;

/// Every reason, and whether somebody must look at it. The match is there for a new one: it must be listed here and below.
fn needs_a_look(off: &Off) -> bool {
    match off {
        Off::Detail(_)
        | Off::Drops
        | Off::NoSource
        | Off::Workloads
        | Off::LocalLoss
        | Off::Listeners
        | Off::NoTracepoint(_)
        | Off::NoIterator(_)
        | Off::NoListener
        | Off::NoCasts
        | Off::NoSkips
        | Off::NoPreemptCount => false,
        // Those of `trace` and `capture`, which serve no metric.
        Off::Trace | Off::Capture => true,
        Off::NoField { .. } | Off::Refused(_) => true,
    }
}

fn every_reason() -> Vec<Off> {
    let field = |why: Option<&str>| Off::NoField {
        global: "TCP_SOCK_SRTT_US",
        why: why.map(str::to_owned),
    };
    let refused = |words: &str| Off::Refused(words.to_owned());
    let mut all = Detail::ALL.map(Off::Detail).to_vec();
    all.extend([
        Off::Drops,
        Off::NoSource,
        Off::Workloads,
        Off::LocalLoss,
        Off::Listeners,
        Off::Trace,
        Off::Capture,
        Off::NoTracepoint("qdisc_drop"),
        Off::NoIterator("bpf_prog"),
        Off::NoListener,
        Off::NoCasts,
        Off::NoSkips,
        Off::NoPreemptCount,
        field(None),
        field(Some("this kernel has no struct tcp_sock")),
        refused("Permission denied: R1 type=untrusted_ptr_ expected=sock_common"),
        refused("Argument list too long"),
        refused("find the first program: No such file or directory"),
    ]);
    all
}

#[test]
fn what_the_configuration_or_the_kernel_decides_is_no_alert() -> Result<()> {
    let rules = rules()?;
    let alert = rules
        .iter()
        .find(|rule| rule.name() == "TcpvitalsProgramNotAttached")
        .context("no such alert")?;
    let (_, matcher) = alert.expr.split_once("reason!~\"").context("no matcher of reasons")?;
    let (pattern, _) = matcher.split_once("\"}").context("a matcher without an end")?;
    // Prometheus takes a pattern for the whole of a value.
    let schema = jsonschema::validator_for(&json!({ "pattern": format!("^(?:{pattern})$") }))?;
    for off in every_reason() {
        let is_left_out = schema.is_valid(&json!(off.to_string()));
        assert_eq!(is_left_out, !needs_a_look(&off), "{off}");
    }
    Ok(())
}
