//! The metric table: every metric once. Prometheus, OTLP, the reference page and the checks of dashboards walk it.

mod drops;
mod exporter;
mod host;
mod row;
mod tcp;

use super::metric::Metric;
pub(super) use row::PROCESS_START;

pub static METRICS: &[Metric] = &joined::<
    { tcp::METRICS.len() + drops::METRICS.len() + host::METRICS.len() + exporter::METRICS.len() },
>([tcp::METRICS, drops::METRICS, host::METRICS, exporter::METRICS]);

/// The tables as one; it is as long as they are together.
const fn joined<const N: usize>(tables: [&[Metric]; 4]) -> [Metric; N] {
    let mut all = [tables[0][0]; N];
    let (mut table, mut row, mut next) = (0, 0, 0);
    while table < tables.len() {
        if row == tables[table].len() {
            (table, row) = (table + 1, 0);
        } else {
            all[next] = tables[table][row];
            (row, next) = (row + 1, next + 1);
        }
    }
    all
}
