//! Collection after collection: what was found, since when, and how much there was to judge.

mod hearing;
mod words;

use super::{
    recorder::Recorder,
    report::{Report, Since, State},
    ring::Ring,
    window::Window,
};
use crate::{
    labels::{Labelling, NO_SUBNET},
    snapshot::Snapshot,
};
use std::{borrow::Cow, collections::BTreeSet, sync::Arc};
use tcpvitals_config::Findings;

use hearing::Hearing;

/// Judges collection after collection.
#[derive(Debug, Default)]
pub struct Judge {
    recorder: Recorder,
    ring: Ring,
    last: Arc<Report>,
}

impl Judge {
    /// What is found once this was collected too.
    pub fn judge(&mut self, snapshot: &Snapshot, labelling: &Labelling, findings: &Findings) -> Arc<Report> {
        if let Some(entry) = self.recorder.record(snapshot, labelling, self.ring.spacing()) {
            self.ring.push(entry);
            let (report, held) = report(&self.ring, findings, snapshot);
            self.ring.note(held);
            self.last = Arc::new(report);
        }
        Arc::clone(&self.last)
    }

    /// Names may have changed.
    pub fn rename(&mut self, labelling: &Labelling) {
        self.recorder.rename(labelling);
    }
}

/// What was found at one time: finding and subnet.
type Held = BTreeSet<(Cow<'static, str>, Arc<str>)>;

fn report(ring: &Ring, settings: &Findings, snapshot: &Snapshot) -> (Report, Option<Held>) {
    let at = ring.newest().map(|entry| entry.at).unwrap_or_default();
    let window = match Window::of(ring) {
        Ok(window) => window,
        Err(there_is) => {
            let report = Report {
                at,
                state: State::NotYet,
                window_seconds: there_is.as_secs_f64(),
                forgotten: ring.forgotten,
                ..Report::default()
            };
            return (report, None);
        }
    };
    let mut hearing = Hearing {
        window: &window,
        traffic: window.traffic(|_| false),
        settings,
        jiffy: snapshot.jiffy.as_secs_f64(),
        finds_local_losses: snapshot.coverage.finds_local_losses(),
        found: Vec::new(),
        hit: BTreeSet::new(),
        queued: BTreeSet::new(),
        turns_away: false,
        muted: 0,
    };
    hearing.all();
    let Hearing {
        traffic,
        mut found,
        hit,
        muted,
        ..
    } = hearing;
    let held = found
        .iter()
        .map(|finding| (finding.finding.clone(), Arc::from(finding.subnet.as_str())))
        .collect();
    for finding in &mut found {
        finding.since = since(ring, &finding.finding, &finding.subnet);
    }
    found.sort_by(|one, other| {
        let order = other.severity.total_cmp(&one.severity);
        order.then_with(|| (&one.finding, &one.subnet).cmp(&(&other.finding, &other.subnet)))
    });
    // What a listener turns away has no subnet.
    let fine = traffic
        .keys()
        .filter(|&&subnet| subnet != NO_SUBNET && !hit.contains(subnet));
    let report = Report {
        at,
        state: State::Judged,
        window_seconds: window.seconds,
        fine: fine.map(|subnet| (*subnet).to_owned()).collect(),
        muted,
        forgotten: ring.forgotten,
        findings: found,
        blind: Vec::new(),
    };
    (report, Some(held))
}

/// Since when something has been found without a break, by the entries that there are.
fn since(ring: &Ring, finding: &str, subnet: &str) -> Since {
    let is_it = |(own, of): &(Cow<'_, str>, Arc<str>)| own == finding && of.as_ref() == subnet;
    let mut at = ring.newest().map(|entry| entry.at).unwrap_or_default();
    // The newest has no note yet.
    let mut entries = ring.newest_first().skip(1);
    for entry in &mut entries {
        // What was not judged may have been so, too.
        let Some(held) = &entry.held else { break };
        if !held.iter().any(is_it) {
            return Since { at, or_before: false };
        }
        at = entry.at;
    }
    Since { at, or_before: true }
}

#[cfg(test)]
mod tests;
