//! The reference page of findings and drop reasons, made from the tables.

use super::{
    Whose,
    dictionary::ENTRIES,
    rules::{Floor, RULES, Rule},
};

/// `docs/findings.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Findings\n\n\
         Look up a finding or a drop reason here: its meaning, whose fault it is, from which rate and share on it is reported, and the first \
         step. Made from the tables in `exporter/metrics/src/findings` by `make docs`; do not edit.\n\n\
         ```sh\n\
         tcpvitals explain                                  # what is wrong here, after a look of ten seconds\n\
         tcpvitals explain --from http://127.0.0.1:10717    # what a running exporter has found in its last minute\n\
         tcpvitals explain subnet NAME                      # or workload NAME, ADDRESS:PORT, a drop reason, a finding, an alert\n\
         ```\n\n\
         `explain` ends with 0 if nothing is wrong and with 10 if something is. The page at `/` begins with the findings, \
         `/api/v1/findings` has them as JSON, and `tcpvitals_findings{whose, finding}` counts them.\n\n\
         ## How it is judged\n\n\
         The exporter keeps what its collections of the last five minutes added, at most 4 MiB of it; what was forgotten before its time is \
         counted (`forgotten` in the API). Each collection that is a second or more after the one before is judged (with thousands of label \
         sets several seconds or more, so that two minutes have room): the last minute, or as \
         much as there is of it, but not less than ten seconds. If collections are further apart, it is the time between the last two, \
         together with the time before it if it is shorter than ten seconds. Further scrapers do not shorten this minute. While there \
         are less than ten seconds, the metric has no series.\n\n\
         A rule has two floors: events per second, and the share of these events (for example retransmitted segments) in the total (all \
         segments). It reports a finding if both floors are reached, by a subnet as a whole or by one of its services (application \
         protocols), so that a busy service does not hide the fault of a quiet one. Findings are sorted by how far above their floors \
         they are. Every collection since `since` has had the finding; if this is the oldest collection that the exporter keeps, the \
         fault may be older.\n\n\
         What this host drops explains what TCP then retransmits, and a SYN that is not answered: such segments count for `own_queue` or \
         `own_filter` alone. A queue of this host that is full explains longer round trips, too. A drop in another network namespace of this host is its own, too, but a SYN that is dropped there counts as unanswered. \
         What a listener turns away is of no subnet: it is weighed with the connections of the same service from all subnets, and a full \
         accept queue explains handshakes of its service that do not end, and the packets that are dropped for it.\n\n\
         `findings.ignore` mutes intended conditions, by finding, subnet or workload, and counts them as muted; \
         `findings.thresholds` changes the floors; `findings.enabled: false` switches all of it off.\n\n\
         ## Whose\n\n\
         | word | it is |\n| --- | --- |\n",
    );
    for whose in Whose::ALL {
        page += &format!("| `{}` | {} |\n", whose.as_str(), of_whose(whose));
    }
    page += "\n## Rules\n\n\
             A rate of seconds per second is the number of connections that wait, on average.\n\n\
             | finding | whose | floor, per second | floor, share | what it says | first |\n| --- | --- | --- | --- | --- | --- |\n";
    page.extend(RULES.iter().map(rule));
    page += "\n`conntrack_full` and `device_loss` need `devices.enabled`. `rtt_above_baseline` compares the median of a minute with that of \
             the older half of the five minutes: at least twice as long and 10 ms longer, each of 30 samples or more.\n\n\
             ## Drop reasons\n\n\
             What the kernel's reasons mean. `tcpvitals explain REASON` prints the row, without privileges.\n\n\
             | reason | meaning | usual causes | first |\n| --- | --- | --- | --- |\n";
    for entry in ENTRIES {
        page += &format!(
            "| `{}` | {} | {} | `{}` |\n",
            entry.reason, entry.meaning, entry.causes, entry.first
        );
    }
    page
}

fn rule(rule: &Rule) -> String {
    let Rule {
        name,
        whose,
        floor: Floor { rate, share },
        says,
        next,
        runbook,
        ..
    } = rule;
    let share = if *share > 0.0 {
        format!("{} %", 100.0 * share)
    } else {
        String::new()
    };
    format!(
        "| `{name}` | {} | {rate} | {share} | {says} | {next}; [runbook](runbooks/{runbook}.md) |\n",
        whose.as_str()
    )
}

const fn of_whose(whose: Whose) -> &'static str {
    match whose {
        Whose::Ours => "this host drops or limits its own traffic",
        Whose::Network => "loss, reordering or delay beyond this host",
        Whose::Peer => "the other end refuses, resets or reads slowly",
        Whose::Silent => "nobody answers",
        Whose::Here => "something of this host is full or wrong, whomever it hits",
    }
}
