//! The outcome, for people as a table and for programs as JSON.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::check::{Checked, Verdict};
use super::growth::Growth;
use super::life::Load;
use super::unseen::Unseen;

/// The outcome of one life.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) load: Load,
    pub(crate) checks: Vec<Checked>,
    /// Events that the kernel withheld from the programs during this life.
    pub(crate) withheld: Unseen,
}

impl Outcome {
    pub(crate) fn is_good(&self) -> bool {
        self.differing().count() == 0 && self.load.growth.iter().all(Growth::is_bounded)
    }

    fn differing(&self) -> impl Iterator<Item = &Checked> {
        self.checks.iter().filter(|checked| checked.verdict == Verdict::Differs)
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|checked| checked.verdict == verdict).count()
    }

    /// What was made and what is held, and whatever is not equal.
    pub(crate) fn table(&self) -> Result<String> {
        let Self {
            name,
            load,
            checks,
            withheld,
        } = self;
        let mut text = String::new();
        writeln!(text, "{name}")?;
        for (what, number) in self.figures() {
            writeln!(text, "  {what:<44} {number:>14}")?;
        }
        for (hook, outcome) in &load.hooks {
            writeln!(text, "  {hook}: {outcome}")?;
        }
        for growth in &load.growth {
            let Growth {
                what,
                early,
                late,
                bound,
                reason,
                course: _,
            } = growth;
            let verdict = if growth.is_bounded() { "" } else { "GROWS" };
            writeln!(
                text,
                "  {what:<24} early {early:>9} late {late:>9} at most {bound:>9.0} {verdict:<5} ({reason})"
            )?;
        }
        for checked in checks.iter().filter(|checked| checked.verdict != Verdict::Equal) {
            let Checked {
                metric,
                labels,
                expected,
                got,
                source,
                verdict,
            } = checked;
            let verdict = match verdict {
                Verdict::Differs => "DIFFERS",
                Verdict::Equal | Verdict::NotShown => "not shown",
            };
            writeln!(
                text,
                "  {verdict}: {metric} {{{labels}}}: expected {expected} ({source}), got {got}"
            )?;
        }
        if !withheld.is_empty() {
            writeln!(text, "  not shown to programs by this kernel: {withheld}")?;
        }
        writeln!(
            text,
            "  {} of {} totals equal, {} short of events that the kernel did not show, {} differ",
            self.count(Verdict::Equal),
            checks.len(),
            self.count(Verdict::NotShown),
            self.count(Verdict::Differs),
        )?;
        Ok(text)
    }

    pub(crate) fn json(&self) -> Value {
        let figures: Vec<Value> = self
            .figures()
            .into_iter()
            .map(|(what, number)| json!({"what": what, "value": number}))
            .collect();
        let growth = |growth: &Growth| {
            let Growth {
                what,
                early,
                late,
                bound,
                reason,
                course,
            } = growth;
            json!({"what": what, "course": course, "early": early, "late": late, "bound": bound, "reason": reason, "is_bounded": growth.is_bounded()})
        };
        let growth: Vec<Value> = self.load.growth.iter().map(growth).collect();
        let hooks: Map<String, Value> = self
            .load
            .hooks
            .iter()
            .map(|(hook, outcome)| ((*hook).to_owned(), outcome.to_string().into()))
            .collect();
        json!({
            "name": self.name,
            "is_good": self.is_good(),
            "figures": figures,
            "growth": growth,
            "hooks": hooks,
            "checks": self.checks,
            "withheld": self.withheld,
        })
    }

    fn figures(&self) -> Vec<(&'static str, String)> {
        let Load {
            made,
            scrapes,
            reloads,
            moods,
            ..
        } = &self.load;
        let sent = made.sent;
        let number = |number: u64| number.to_string();
        let mean = scrapes.total / (scrapes.number.max(1) as f64);
        vec![
            ("connections under loss", number(made.lossy.flows)),
            ("connections that ended in order", number(made.short)),
            ("connections that were reset", number(made.reset)),
            ("connections refused", number(made.failed.refused)),
            ("connections timed out", number(made.failed.timed_out)),
            ("connections to where no way leads", number(made.failed.unreachable)),
            (
                "datagrams",
                number(sent.nobody + sent.filtered + sent.own + sent.narrow),
            ),
            ("scrapes", number(scrapes.number)),
            ("collection under load, mean, ms", format!("{:.1}", 1e3 * mean)),
            (
                "collection under load, longest, ms",
                format!("{:.1}", 1e3 * scrapes.longest),
            ),
            ("reloads", reloads.to_string()),
            ("changes of the receiver's mood", moods.to_string()),
        ]
    }
}
