//! Header lines as they are sent, and the rules that they exercise.

use super::*;
use Format::{OpenMetrics, Protobuf, Text};
use proptest::prelude::*;

fn check(headers: &[&str], expected: Option<Format>) {
    assert_eq!(negotiate(headers), expected, "{headers:?}");
}

#[test]
fn scrapers_and_browsers_get_what_they_like_best() {
    let sent = [
        (
            "Prometheus 2.26",
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Text,
        ),
        (
            "Prometheus 2.42",
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OpenMetrics,
        ),
        (
            "Prometheus 2.42 with native histograms",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
             application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Protobuf,
        ),
        (
            "Prometheus 3.5",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OpenMetrics,
        ),
        (
            "Prometheus 3.5 with native histograms or created timestamps",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
             application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            Protobuf,
        ),
        ("VictoriaMetrics 1.145", "text/plain;version=0.0.4;q=1,*/*;q=0.1", Text),
        ("curl", "*/*", Text),
        (
            "Firefox",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            Text,
        ),
        (
            "Chromium",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,\
             application/signed-exchange;v=b3;q=0.7",
            Text,
        ),
    ];
    for (who, header, format) in sent {
        assert_eq!(negotiate(&[header]), Some(format), "{who}");
    }
}

#[test]
fn nothing_that_is_known_is_no_format_and_that_is_text() {
    check(&[], None);
    for nothing in [
        "",
        " , ",
        "application/json",
        "text/html",
        "image/*",
        "*/plain",
        "text/plain+x",
        "no media type",
        "text/plain;version=1.0.0",
        "application/openmetrics-text;version=0.0.1",
        "application/vnd.google.protobuf",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily",
        "text/plain;q=0",
        "*/*;q=0.0",
    ] {
        check(&[nothing], None);
        assert_eq!(Format::accepted(&[nothing]), Text);
    }
}

#[test]
fn the_higher_quality_wins_then_the_name_then_the_order_of_the_header() {
    const PROTOBUF: &str =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    check(
        &["text/plain;q=0.5, application/openmetrics-text;q=0.51"],
        Some(OpenMetrics),
    );
    check(&["text/plain;q=0.51, application/openmetrics-text;q=0.5"], Some(Text));
    check(&["text/plain, application/openmetrics-text"], Some(Text));
    check(&["application/openmetrics-text, text/plain"], Some(OpenMetrics));
    check(&["text/plain", PROTOBUF], Some(Text));
    check(&[PROTOBUF, "text/plain"], Some(Protobuf));
    check(&["*/*, application/openmetrics-text"], Some(OpenMetrics));
    check(&["text/*, application/openmetrics-text"], Some(OpenMetrics));
}

#[test]
fn a_wildcard_stands_for_the_plainest_that_it_covers() {
    check(&["text/*"], Some(Text));
    check(&["application/*"], Some(OpenMetrics));
    check(&["application/*, text/*;q=0.9"], Some(OpenMetrics));
}

#[test]
fn the_more_specific_range_decides_about_a_format() {
    check(&["text/plain;q=0.1, */*"], Some(OpenMetrics));
    check(
        &["*/*, text/plain;q=0, application/openmetrics-text;q=0"],
        Some(Protobuf),
    );
    check(&["application/*;q=0, */*;q=0.1"], Some(Text));
    check(
        &["application/openmetrics-text;version=1.0.0;q=0.1, application/openmetrics-text, text/plain;q=0.5"],
        Some(Text),
    );
}

#[test]
fn case_quotes_blanks_and_unknown_parameters_do_not_matter() {
    check(
        &["APPLICATION/OpenMetrics-Text ; VERSION=\"1.0.0\" ; Q=\"1.0\""],
        Some(OpenMetrics),
    );
    check(
        &["application/openmetrics-text;charset=utf-8;escaping=underscores;note=\"a,b;q=0\""],
        Some(OpenMetrics),
    );
    check(
        &["application/vnd.google.protobuf;encoding=DELIMITED;escaping=values;proto=io.prometheus.client.MetricFamily"],
        Some(Protobuf),
    );
}

#[test]
fn what_cannot_be_read_is_left_out_and_the_rest_is_heard() {
    check(&[", application/openmetrics-text"], Some(OpenMetrics));
    check(&["text/plain;;, application/openmetrics-text;q=0.1"], Some(OpenMetrics));
    for quality in ["2", "1.1", "-1", "0.x", "", "NaN", ".5", "0,5"] {
        check(
            &[&format!("text/plain;q={quality}"), "application/openmetrics-text;q=0.1"],
            Some(OpenMetrics),
        );
    }
    check(
        &["text/plain;q=0.12399, application/openmetrics-text;q=0.124"],
        Some(OpenMetrics),
    );
}

#[test]
fn the_content_type_of_each_format_asks_for_that_format() {
    for format in Format::ALL {
        check(&[format.content_type()], Some(format));
    }
}

proptest! {
    #[test]
    fn no_header_is_too_strange(header in "([a-z*]{0,4}/?[a-z*.+]{0,4}[;, ]?(q=|\"|\\\\|=)?[0-9.é\"]{0,3}){0,6}", any in any::<String>()) {
        negotiate(&[header.as_str(), any.as_str()]);
    }
}
