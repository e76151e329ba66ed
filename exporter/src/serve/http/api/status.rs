//! `/api/v1/status`: what runs and what does not, what was lost, how full the tables are. Pure: values in, JSON out.

use crate::serve::http::About;
use common::map::lost::Lost;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tcpvitals_metrics::{coverage::Coverage, families::METRICS, status::Status};

/// The answer. Times are since 1970.
pub fn answer(status: &Status, coverage: &Coverage, about: &About, started: Duration) -> Value {
    let Status {
        lost,
        misses,
        refused,
        groups,
        drops,
        series,
        exporter,
    } = status;
    let programs = coverage.programs.iter().map(|program| {
        json!({
            "program": program.name,
            "hook": program.hook,
            "attached": program.off.is_none(),
            "reason": program.off,
        })
    });
    let metrics_off = METRICS.iter().filter_map(|metric| {
        let reason = metric.why_off(coverage)?;
        Some(json!({"metric": metric.full_name(), "reason": reason}))
    });
    let lost = |which: Lost| lost.get(which as usize).copied().unwrap_or(0);
    let refused = |metrics: &str| refused.get(metrics).copied().unwrap_or(0);
    let fill = |(used, capacity): &(u64, u64)| json!({"used": used, "capacity": capacity});
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "start_time_seconds": started.as_secs_f64(),
        "kernel": about.host.release,
        "demonstration": about.notice,
        "programs": programs.collect::<Vec<_>>(),
        "metrics_off": metrics_off.collect::<Vec<_>>(),
        "lost": {
            "flows_untracked": lost(Lost::FlowsUntracked),
            "folds_contended": lost(Lost::FoldsContended),
            "cgroups_untracked": lost(Lost::CgroupsUntracked),
            "workloads_unresolved": lost(Lost::Unresolved),
            "local_losses_forgotten": lost(Lost::LossesForgotten),
            "group_overflow": lost(Lost::GroupOverflow),
            "drop_overflow": lost(Lost::DropOverflow),
            "series_overflow": {"tcp": refused("tcp"), "drops": refused("drops")},
            "events_lost": misses.iter().map(|(program, misses)| (*program, misses.lost())).collect::<BTreeMap<_, _>>(),
        },
        "events_taken_over": misses.iter().map(|(program, misses)| (*program, misses.taken_over)).collect::<BTreeMap<_, _>>(),
        "groups": fill(groups),
        "drop_rows": fill(drops),
        "series": series,
        "last_reload": {
            "successful": exporter.last_reload.successful,
            "success_time_seconds": exporter.last_reload.succeeded.as_secs_f64(),
            "error": exporter.last_reload.error.as_deref(),
        },
        "workloads": exporter.name_source.as_ref().map(|source| json!({
            "source": source.name,
            "up": source.off.is_none(),
            "reason": source.off,
            "note": source.note,
            "since_time_seconds": source.since.as_secs_f64(),
            "last_update_time_seconds": source.last_update.map(|time| time.as_secs_f64()),
        })),
        "collections": exporter.collections,
        "collect_duration_seconds": exporter.collect_duration.as_secs_f64(),
    })
}
