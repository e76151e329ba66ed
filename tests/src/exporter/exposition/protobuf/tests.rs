//! The reader refuses what it should.

use prost::Message as _;

use super::*;

/// Two values up to 1, none up to 2, one beyond.
fn good() -> MetricFamily {
    let bucket = |upper_bound, cumulative_count| Bucket {
        cumulative_count,
        upper_bound,
    };
    let histogram = Histogram {
        sample_count: 3,
        sample_sum: 9.5,
        bucket: vec![bucket(1.0, 2), bucket(2.0, 2), bucket(f64::INFINITY, 3)],
        schema: 1,
        zero_threshold: f64::exp2(-128.0),
        zero_count: 0,
        positive_span: vec![
            Span { offset: -1, length: 2 },
            Span {
                offset: 2048,
                length: 1,
            },
        ],
        positive_delta: vec![1, 0, 0],
        start: None,
    };
    MetricFamily {
        name: "a_seconds".to_owned(),
        help: "Time.".to_owned(),
        r#type: MetricType::Histogram.into(),
        metric: vec![Metric {
            histogram: Some(histogram),
            ..Metric::default()
        }],
        unit: "seconds".to_owned(),
    }
}

#[test]
fn a_correct_family_is_read() {
    let body = good().encode_length_delimited_to_vec();
    let families = decode(&body).unwrap();
    assert_eq!(families, [good()]);
    let read = exposition(&families).unwrap();
    let lines: Vec<String> = read
        .samples
        .iter()
        .map(|(Series { name, labels }, value)| format!("{name}{labels:?} {value}"))
        .collect();
    assert_eq!(
        lines,
        [
            "a_seconds_bucket{\"le\": \"+Inf\"} 3",
            "a_seconds_bucket{\"le\": \"1.0\"} 2",
            "a_seconds_bucket{\"le\": \"2.0\"} 2",
            "a_seconds_count{} 3",
            "a_seconds_sum{} 9.5",
        ]
    );
}

#[test]
fn every_rule_is_kept() {
    fn histogram(family: &mut MetricFamily) -> &mut Histogram {
        family.metric[0].histogram.as_mut().unwrap()
    }
    type Case = (fn(&mut MetricFamily), &'static str);
    let cases: [Case; 14] = [
        (|family| family.name.push_str("_total"), "name"),
        (|family| family.help.clear(), "help"),
        (|family| family.unit = "bytes".to_owned(), "unit"),
        (|family| family.r#type = MetricType::Untyped.into(), "type"),
        (|family| family.r#type = MetricType::Gauge.into(), "another kind"),
        (|family| family.metric.push(family.metric[0].clone()), "twice"),
        (|family| histogram(family).sample_count = 4, "add up to 4"),
        (|family| histogram(family).zero_count = 1, "add up to 3"),
        (|family| histogram(family).positive_delta[0] = 2, "add up to 3"),
        (
            |family| histogram(family).positive_delta.push(0),
            "1 counts without a bucket",
        ),
        (
            |family| histogram(family).positive_span[1].length = 2,
            "without a count",
        ),
        (
            |family| histogram(family).positive_span[1].offset = 2049,
            "behind the one of infinity",
        ),
        (
            |family| histogram(family).positive_span = vec![Span { offset: 0, length: 3 }],
            "2 values up to 1 by the classic buckets, 1 by the native ones",
        ),
        (|family| histogram(family).bucket.truncate(2), "without a bound"),
    ];
    for (number, (spoil, complaint)) in cases.into_iter().enumerate() {
        let mut family = good();
        spoil(&mut family);
        let error = format!("{:#}", exposition(&[family]).unwrap_err());
        assert!(error.contains(complaint), "case {number}: {error}");
    }
}

#[test]
fn a_body_that_ends_early_or_has_another_field_is_refused() {
    let body = good().encode_length_delimited_to_vec();
    assert!(decode(&body[..body.len() - 1]).is_err());
    // A sixth field of the family, a text of one byte.
    let mut family = good().encode_to_vec();
    family.extend([6 << 3 | 2, 1, b'x']);
    let mut body = vec![u8::try_from(family.len()).unwrap()];
    body.extend(&family);
    assert!(decode(&body).unwrap_err().to_string().contains("3 of"));
}
