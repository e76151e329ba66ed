//! What is a finding here: which are meant to be so, and from where on others count.
//! It must never know which findings there are: who knows them checks the names. From `findings` of the file; to the judgement.

use crate::{
    file::Problem,
    raw::findings::{RawFindings, RawMute},
    sections::drops::Glob,
};
use std::collections::BTreeMap;

/// What is judged, and how strictly.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// Whether anything is judged.
    pub enabled: bool,
    /// What is meant to be so.
    pub ignore: Vec<Mute>,
    /// By the word of a finding.
    pub thresholds: BTreeMap<String, Threshold>,
}

/// What is meant to be so: what matches every part given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mute {
    /// The word of a finding.
    pub finding: Option<String>,
    subnet: Option<Glob>,
    workload: Option<Glob>,
}

/// From where on something is a finding; what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Threshold {
    /// Events per second, or seconds per second.
    pub rate: Option<f64>,
    /// Of what could have been such an event: 0 to 1.
    pub share: Option<f64>,
}

/// What is muted of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutes<'a> {
    Nothing,
    All,
    /// What is of these workloads.
    Workloads(Vec<&'a Glob>),
}

impl Default for Findings {
    fn default() -> Self {
        Self {
            enabled: true,
            ignore: Vec::new(),
            thresholds: BTreeMap::new(),
        }
    }
}

impl Findings {
    pub(crate) fn parse(raw: &RawFindings) -> Result<Self, Problem> {
        let RawFindings {
            enabled,
            ignore,
            thresholds,
        } = raw;
        let mut findings = Self {
            enabled: enabled.unwrap_or(true),
            ..Self::default()
        };
        for (index, mute) in ignore.iter().flatten().enumerate() {
            findings
                .ignore
                .push(Mute::parse(&format!("findings.ignore[{index}]"), mute)?);
        }
        for (name, threshold) in thresholds.iter().flat_map(|pairs| &pairs.0) {
            let key = format!("findings.thresholds.{name}");
            let read = |part: &str, text: &Option<String>, most: f64| {
                text.as_deref()
                    .map(|text| decimal(&format!("{key}.{part}"), text, most))
                    .transpose()
            };
            let threshold = Threshold {
                rate: read("rate", &threshold.rate, f64::MAX)?,
                share: read("share", &threshold.share, 1.0)?,
            };
            if findings.thresholds.insert(name.clone(), threshold).is_some() {
                return Err(Problem::new(key, "is given twice; keep one of the two"));
            }
        }
        Ok(findings)
    }

    /// What is muted of a finding of a subnet.
    pub fn mutes(&self, finding: &str, subnet: &str) -> Mutes<'_> {
        let mine = self.ignore.iter().filter(|mute| {
            mute.finding.as_deref().is_none_or(|own| own == finding)
                && mute.subnet.as_ref().is_none_or(|glob| glob.matches(subnet))
        });
        let mut workloads = Vec::new();
        for mute in mine {
            match &mute.workload {
                None => return Mutes::All,
                Some(workload) => workloads.push(workload),
            }
        }
        if workloads.is_empty() {
            Mutes::Nothing
        } else {
            Mutes::Workloads(workloads)
        }
    }
}

impl Mute {
    fn parse(key: &str, raw: &RawMute) -> Result<Self, Problem> {
        let RawMute {
            finding,
            subnet,
            workload,
        } = raw;
        if finding.is_none() && subnet.is_none() && workload.is_none() {
            let what =
                "it would mute every finding; give a finding, a subnet or a workload, or set findings.enabled to false";
            return Err(Problem::new(key, what));
        }
        let glob = |part: &str, text: &Option<String>| {
            let read = |text: &str| Glob::new(text).map_err(|what| Problem::new(format!("{key}.{part}"), what));
            text.as_deref().map(read).transpose()
        };
        Ok(Self {
            finding: finding.clone(),
            subnet: glob("subnet", subnet)?,
            workload: glob("workload", workload)?,
        })
    }
}

/// A decimal number from 0 on.
fn decimal(key: &str, text: &str, most: f64) -> Result<f64, Problem> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let number = if digits(whole) && digits(fraction) {
        text.parse().ok()
    } else {
        None
    };
    number.filter(|number: &f64| *number <= most).ok_or_else(|| {
        let range = if most < f64::MAX {
            format!(" from 0 to {most}")
        } else {
            String::new()
        };
        Problem::new(
            key,
            format!("{text:?} is not a decimal number{range}; write for example 0.05"),
        )
    })
}
