//! What the reading thread owns: where collections come from, and how they are labelled, judged and shown.

use super::{error::CollectError, pushes::Tally, shown::Shown, source::Source};
use crate::{
    lifecycle::clock::{now, since_1970},
    serve::{process, web::served::Served},
};
use std::{sync::Arc, time::Duration};
use tcpvitals_config::{Config, numbering::Numbering};
use tcpvitals_metrics::{
    findings::{judge::Judge, report::Report},
    labels::Labelling,
    snapshot::{Exporter, LastReload, Snapshot},
    status::Status,
};

/// What was collected, and when.
#[derive(Clone, Debug)]
pub struct Collection {
    /// Since 1970.
    pub at: Duration,
    /// What is shown of it.
    pub shown: Arc<Shown>,
    /// How the exporter does.
    pub status: Arc<Status>,
    /// What is wrong; `None` where nobody judges.
    pub findings: Option<Arc<Report>>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) source: Source,
    pub(super) tally: Arc<Tally>,
    pub(super) served: Arc<Served>,
    pub(super) config: Config,
    pub(super) numbering: Numbering,
    pub(super) labelling: Labelling,
    pub(super) judge: Judge,
    /// How many there were.
    pub(super) collections: u64,
    pub(super) last_reload: LastReload,
    /// When the process began, in seconds since 1970, as others were told first.
    pub(super) process_started: Option<f64>,
}

impl State {
    pub(super) fn collect(&mut self) -> Result<Collection, CollectError> {
        let snapshot = self.snapshot()?;
        let shown = self.show(&snapshot);
        let status = Status::new(&snapshot, &shown.all);
        Ok(Collection {
            at: since_1970(),
            shown: Arc::new(shown),
            status: Arc::new(status),
            findings: snapshot.findings,
        })
    }

    pub(super) fn snapshot(&mut self) -> Result<Snapshot, CollectError> {
        let began = now();
        self.collections += 1;
        let mut snapshot = self.source.snapshot()?;
        let process = process::read();
        snapshot.exporter = Exporter {
            last_reload: self.last_reload.clone(),
            networks_of_files: self.config.networks_of_files,
            started: self.start(process.started),
            collections: self.collections,
            collect_duration: began.elapsed(),
            pushes: self.tally.read(),
            served: Some(self.served.read()),
            workloads: snapshot.exporter.workloads,
            name_source: snapshot.exporter.name_source,
            ..process
        };
        snapshot.findings = self.judge(&snapshot);
        Ok(snapshot)
    }

    /// Judges what was before the first collection, where anybody knows it.
    pub(super) fn judge_lead(&mut self) {
        for at in self.source.lead() {
            if let Some(snapshot) = self.source.before(at) {
                self.judge(&snapshot);
            }
        }
    }

    /// What is wrong, if anybody wants to know.
    fn judge(&mut self, snapshot: &Snapshot) -> Option<Arc<Report>> {
        self.config.findings.enabled.then(|| {
            self.labelling.learn(&snapshot.workloads);
            self.judge.judge(snapshot, &self.labelling, &self.config.findings)
        })
    }

    /// The kernel reckons the start of a process from its clock, so it moves with that; to others it would look like a restart.
    /// It is replaced only when the clock is set back behind it. To whom a recording is shown its counters began when those did.
    fn start(&mut self, reckoned: Option<f64>) -> Option<f64> {
        if let Some(began) = self.source.began() {
            return Some(began.as_secs_f64());
        }
        let kept = self.process_started.filter(|kept| *kept <= since_1970().as_secs_f64());
        self.process_started = kept.or(reckoned);
        self.process_started
    }

    pub(super) fn show(&mut self, snapshot: &Snapshot) -> Shown {
        self.labelling.post(snapshot);
        Shown::new(&mut self.labelling, snapshot, &self.config)
    }
}
