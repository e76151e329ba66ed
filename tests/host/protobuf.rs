//! The protobuf exposition, read by messages of our own: golden as text, since when its counters count, and native histograms.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tcpvitals_config::Config;
use tcpvitals_metrics::encode::prometheus::{Format, encode};
use tests::exporter::exposition::protobuf::{
    Bucket, Counter, Histogram, LabelPair, Metric, MetricFamily, MetricType, Span, Timestamp, decode, native_buckets,
};

use crate::golden::{CASES, require_golden};
use crate::sample::all_buckets;

/// Halfway through the first second of the sample's exporter.
const STARTED: Timestamp = Timestamp {
    seconds: 1_700_000_000,
    nanos: 500_000_000,
};

fn full() -> Result<Vec<MetricFamily>> {
    let families = CASES[0].families()?;
    decode(&encode(
        &families,
        families.started(),
        Format::Protobuf,
        &Arc::new(all_buckets()),
    )?)
}

#[test]
fn the_messages_are_those_of_the_golden_file() -> Result<()> {
    require_golden(&CASES[0].file("protobuf.txt"), &readable(&full()?)?)
}

/// A histogram with one ends some versions of Prometheus.
#[test]
fn counters_have_counted_since_their_rows_began_and_nothing_else_says_since_when() -> Result<()> {
    let mut starts = BTreeSet::new();
    for family in full()? {
        for metric in &family.metric {
            let start = metric.counter.map(|counter| counter.start);
            if let Some(start) = start {
                starts.insert(start.context(family.name.clone())?.seconds - STARTED.seconds);
            }
            let histogram = metric.histogram.as_ref().and_then(|histogram| histogram.start);
            assert_eq!(histogram, None, "{}", family.name);
        }
    }
    // The exporter itself, and each row of the sample.
    assert!(starts.contains(&0) && starts.len() > 2, "{starts:?}");
    Ok(())
}

/// A view may leave out the metric that says when the exporter began.
#[test]
fn counters_of_a_view_have_counted_as_long_as_those_of_all() -> Result<()> {
    let families = CASES[0].families()?;
    let config = Config::from_yaml(
        "metrics: {include: [\"tcpvitals_tcp_*\", tcpvitals_http_requests_total]}\n",
        "view.yaml",
    )?;
    let view = Arc::new(families.chosen(&config.shown.metrics));
    assert_eq!(view.started(), None);
    let mut starts = BTreeSet::new();
    for family in decode(&encode(&view, families.started(), Format::Protobuf, &Arc::default())?)? {
        for counter in family.metric.iter().filter_map(|metric| metric.counter) {
            let start = counter.start.with_context(|| family.name.clone())?;
            starts.insert(start.seconds - STARTED.seconds);
        }
    }
    assert!(starts.contains(&0) && starts.len() > 2, "{starts:?}");
    Ok(())
}

#[test]
fn an_exporter_that_does_not_know_its_start_says_none() -> Result<()> {
    let mut families = CASES[0].families()?;
    let known = Arc::get_mut(&mut families).context("somebody else has the families")?;
    for family in &mut known.0 {
        let family = Arc::get_mut(family).context("somebody else has a family")?;
        if family.metric.full_name() == "process_start_time_seconds" {
            family.points.clear();
        }
    }
    for family in decode(&encode(
        &families,
        families.started(),
        Format::Protobuf,
        &Arc::default(),
    )?)? {
        for metric in &family.metric {
            assert_eq!(
                metric.counter.and_then(|counter| counter.start),
                None,
                "{}",
                family.name
            );
            let histogram = metric.histogram.as_ref();
            assert_eq!(histogram.and_then(|histogram| histogram.start), None, "{}", family.name);
        }
    }
    Ok(())
}

/// The sample has round trips of 180 us, 2.5 ms, 2.6 ms, 40 ms and 200 s.
#[test]
fn a_native_bucket_holds_what_lies_between_its_bounds() -> Result<()> {
    let families = full()?;
    let rtt = families
        .iter()
        .find(|family| family.name == "tcpvitals_tcp_rtt_seconds");
    let histogram = rtt
        .and_then(|rtt| rtt.metric.first()?.histogram.as_ref())
        .context("no round-trip times")?;
    assert_eq!(histogram.schema, 2);
    let buckets = native_buckets(histogram)?;
    let bound = |index: i32| f64::exp2(f64::from(index) / 4.0);
    for (seconds, count) in [(180e-6, 1), (2.5e-3, 2), (2.6e-3, 2), (40e-3, 1)] {
        let own = buckets
            .iter()
            .filter(|(index, _)| bound(**index - 1) < seconds && seconds <= bound(**index));
        assert_eq!(own.map(|(_, count)| *count).collect::<Vec<_>>(), [count], "{seconds}");
    }
    // 200 s exceed every bound, so they are in the bucket of infinity, and in the sum as they are.
    assert_eq!(buckets.last_key_value(), Some((&4097, &1)));
    assert_eq!(histogram.sample_sum, 200.045_280);
    Ok(())
}

/// All that the messages say, for people.
fn readable(families: &[MetricFamily]) -> Result<String> {
    let mut text = String::new();
    for family in families {
        let MetricFamily {
            name,
            help,
            r#type: _,
            metric,
            unit,
        } = family;
        let kind: MetricType = family.r#type();
        writeln!(text, "{name}: {kind:?} [{unit}] {help}")?;
        for Metric {
            label,
            gauge,
            counter,
            histogram,
        } in metric
        {
            let labels: Vec<String> = label
                .iter()
                .map(|LabelPair { name, value }| format!("{name}={value:?}"))
                .collect();
            let labels = labels.join(" ").replace(env!("CARGO_PKG_VERSION"), "0.0.0");
            match (gauge, counter, histogram) {
                (Some(gauge), None, None) => writeln!(text, "  {{{labels}}} {:?}", gauge.value)?,
                (None, Some(Counter { value, start }), None) => {
                    writeln!(text, "  {{{labels}}} {value:?} since {}", since(start.as_ref()))?;
                }
                (None, None, Some(histogram)) => {
                    writeln!(text, "  {{{labels}}}")?;
                    buckets(&mut text, histogram)?;
                }
                _ => anyhow::bail!("{name}{{{labels}}} has not one value"),
            }
        }
    }
    Ok(text)
}

fn buckets(text: &mut String, histogram: &Histogram) -> Result<()> {
    let Histogram {
        sample_count,
        sample_sum,
        bucket,
        schema,
        zero_threshold,
        zero_count,
        positive_span,
        positive_delta,
        start: _,
    } = histogram;
    let classic = bucket.iter().map(
        |Bucket {
             cumulative_count,
             upper_bound,
         }| format!("{upper_bound:?}:{cumulative_count}"),
    );
    let spans = positive_span
        .iter()
        .map(|Span { offset, length }| format!("{offset:+}:{length}"));
    writeln!(text, "    count {sample_count} sum {sample_sum:?}")?;
    writeln!(text, "    classic {}", classic.collect::<Vec<_>>().join(" "))?;
    writeln!(
        text,
        "    native schema {schema} zero {zero_threshold:?}:{zero_count} spans {} deltas {positive_delta:?}",
        spans.collect::<Vec<_>>().join(" ")
    )?;
    Ok(())
}

fn since(start: Option<&Timestamp>) -> String {
    start.map_or("?".to_owned(), |Timestamp { seconds, nanos }| {
        format!("{seconds}.{nanos:09}")
    })
}
