//! The section `otlp`, the variables, and what they make together.

use std::{path::PathBuf, time::Duration};

use super::{config, refused as check};
use crate::{Compression, Config, HistogramForm, Names, OtlpSettings, Protocol, Temporality};

/// What a file and variables make, and the warnings.
fn resolve(yaml: &str, variables: &[(&str, &str)]) -> (Option<OtlpSettings>, Vec<String>) {
    let variable = |name: &str| {
        let found = variables.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| String::from(*value))
    };
    config(yaml).otlp.settings(variable).unwrap()
}

fn settings(yaml: &str, variables: &[(&str, &str)]) -> OtlpSettings {
    let (settings, warnings) = resolve(yaml, variables);
    assert_eq!(warnings, [""; 0]);
    settings.unwrap()
}

const GENERAL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318/base");
const METRICS: (&str, &str) = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:4318");

#[test]
fn without_an_endpoint_nothing_is_pushed() {
    assert_eq!(resolve("", &[]), (None, Vec::new()));
    let rest = "otlp: {protocol: grpc, interval: 1s, headers: {a: b}, temporality: delta}";
    assert_eq!(
        resolve(rest, &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]),
        (None, Vec::new())
    );
}

#[test]
fn an_endpoint_alone_gets_the_documented_defaults() {
    let settings = settings("otlp: {endpoint: \"http://localhost:4317\"}", &[]);
    assert_eq!(settings.target.to_string(), "http://localhost:4317/");
    assert_eq!(settings.protocol, Protocol::Grpc);
    assert_eq!(
        (settings.interval, settings.timeout),
        (Duration::from_secs(15), Duration::from_secs(10))
    );
    assert_eq!(settings.compression, Compression::Gzip);
    assert_eq!(settings.temporality, Temporality::Cumulative);
    assert_eq!(
        (settings.names, settings.histograms),
        (Names::Conventions, HistogramForm::Exponential)
    );
    assert!(settings.headers.map().is_empty() && settings.tls.ca_file.is_none() && settings.tls.client.is_none());
}

#[test]
fn a_full_section_is_taken_over() {
    let settings = settings(
        "otlp: {endpoint: \"https://localhost/x\", protocol: http/protobuf, interval: 1m, timeout: 500ms, compression: none,\n\
         headers: {Authorization: Bearer geheim, x-a: \"1\"}, temporality: delta, names: prometheus, histograms: exponential, tls: {ca_file: a, cert_file: b, key_file: c}}",
        &[
            GENERAL,
            METRICS,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-b=2"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "z"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                "explicit_bucket_histogram",
            ),
        ],
    );
    assert_eq!(settings.target.uri(), "https://localhost/x");
    assert_eq!(settings.protocol, Protocol::HttpProtobuf);
    assert_eq!(
        (settings.interval, settings.timeout),
        (Duration::from_secs(60), Duration::from_millis(500))
    );
    assert_eq!(
        (settings.compression, settings.temporality),
        (Compression::None, Temporality::Delta)
    );
    assert_eq!(
        (settings.names, settings.histograms),
        (Names::Prometheus, HistogramForm::Exponential)
    );
    assert_eq!(settings.headers.map().len(), 2);
    assert_eq!(settings.headers.map()["authorization"], "Bearer geheim");
    assert_eq!(settings.tls.ca_file, Some("a".into()));
    assert_eq!(settings.tls.client, Some(("b".into(), "c".into())));
    assert!(!format!("{settings:?}").contains("geheim"), "{settings:?}");
}

#[test]
fn variables_say_what_the_file_does_not() {
    let settings = settings(
        "",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20YTpi, x-a = 1 ,"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "client.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "client.key"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "60000"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                "explicit_bucket_histogram",
            ),
        ],
    );
    assert_eq!(settings.histograms, HistogramForm::Explicit);
    assert_eq!(
        (settings.target.uri().to_string().as_str(), settings.protocol),
        ("https://localhost:4317/", Protocol::Grpc)
    );
    assert_eq!(settings.headers.map()["authorization"], "Basic YTpi");
    assert_eq!(settings.headers.map()["x-a"], "1");
    assert_eq!(
        (settings.compression, settings.temporality),
        (Compression::None, Temporality::Delta)
    );
    assert_eq!(
        (settings.interval, settings.timeout),
        (Duration::from_secs(60), Duration::from_millis(2500))
    );
    assert_eq!(settings.tls.ca_file, Some("ca.pem".into()));
    assert_eq!(settings.tls.client, Some(("client.pem".into(), "client.key".into())));
}

#[test]
fn the_variables_for_metrics_win_over_the_general_ones() {
    let metrics = settings("", &[GENERAL, METRICS]);
    assert_eq!(metrics.target.uri(), "http://127.0.0.1:4318/v1/metrics");
    for (general, metrics) in [
        (
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
        ),
        (
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none"),
        ),
        (
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a=2"),
        ),
        (
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "200"),
        ),
        (
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "a"),
            ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "b"),
        ),
    ] {
        assert_eq!(
            settings("", &[METRICS, general, metrics]),
            settings("", &[METRICS, metrics]),
            "{metrics:?}"
        );
        assert_ne!(
            settings("", &[METRICS, general]),
            settings("", &[METRICS, metrics]),
            "{metrics:?}"
        );
    }
}

#[test]
fn the_general_endpoint_is_a_base_and_means_http() {
    let settings = settings("", &[GENERAL]);
    assert_eq!(settings.target.uri(), "http://localhost:4318/base/v1/metrics");
    assert_eq!(settings.protocol, Protocol::HttpProtobuf);
}

#[test]
fn a_host_for_grpc_needs_no_scheme_in_a_variable() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317");
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
    assert_eq!(settings("", &[endpoint, grpc]).target.uri(), "https://localhost:4317/");
    assert_eq!(
        settings("", &[endpoint, grpc, insecure]).target.uri(),
        "http://localhost:4317/"
    );
}

#[test]
fn a_variable_that_cannot_be_understood_is_ignored_with_a_warning() {
    for (name, value, warning) in [
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "http/json",
            "\"http/json\" is ignored; use one of grpc, http/protobuf",
        ),
        (
            "OTEL_EXPORTER_OTLP_COMPRESSION",
            "zstd",
            "\"zstd\" is ignored; use one of gzip, none",
        ),
        (
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            "sometimes",
            "\"sometimes\" is ignored; use one of cumulative, delta",
        ),
        (
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "10s",
            "\"10s\" is ignored; write milliseconds, digits only",
        ),
        (
            "OTEL_METRIC_EXPORT_INTERVAL",
            "0",
            "\"0\" is ignored; allowed are 1s to 1h, in milliseconds",
        ),
        (
            "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
            "600001",
            "\"600001\" is ignored; allowed are 100ms to 10m, in milliseconds",
        ),
        ("OTEL_SDK_DISABLED", "yes", "\"yes\" is ignored; use one of true, false"),
        (
            "OTEL_METRICS_EXPORTER",
            "console",
            "\"console\" is ignored; use one of otlp, prometheus, none",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "geheim", "an entry without = is ignored"),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "a b=geheim",
            "ignored: the header \"a b\" has a name that HTTP does not allow; write letters, digits and hyphens",
        ),
        (
            "OTEL_EXPORTER_OTLP_CLIENT_KEY",
            "client.key",
            "ignored: a certificate and its key go together",
        ),
    ] {
        let (with, warnings) = resolve("", &[METRICS, (name, value)]);
        assert_eq!(warnings, [format!("{name}: {warning}")]);
        assert_eq!(with, resolve("", &[METRICS]).0, "{name}");
    }
    let low = ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "lowmemory");
    assert_eq!(settings("", &[METRICS, low]).temporality, Temporality::Cumulative);
}

#[test]
fn an_endpoint_of_a_variable_that_cannot_be_one_is_warned_of_and_nothing_is_pushed() {
    let url = |text: &str, port: &str| {
        format!(
            "{text:?} does not begin with http:// or https:// and a host; write for example http://localhost:{port}; until \
             then nothing is pushed"
        )
    };
    for (protocol, value, warning) in [
        ("", "collector", url("collector", "4318")),
        ("", "127.0.0.1:4318", url("127.0.0.1:4318", "4318")),
        ("grpc", "ftp://a", url("ftp://a", "4317")),
        (
            "grpc",
            "http://localhost/v1/metrics",
            "gRPC has no path, but the URL has \"/v1/metrics\"; remove it, or write protocol: http/protobuf; until then \
             nothing is pushed"
                .to_owned(),
        ),
    ] {
        let variables = [("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", value), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let warning = format!("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: {warning}");
        assert_eq!(resolve("", &variables), (None, vec![warning]));
        // The file's wins.
        let file = "otlp: {endpoint: \"http://localhost:4317\", protocol: grpc}";
        assert_eq!(settings(file, &variables).target.uri(), "http://localhost:4317/");
    }
}

#[test]
fn an_endpoint_of_the_file_that_does_not_fit_the_protocol_is_an_error() {
    let error = config("otlp: {endpoint: \"http://localhost/x\"}")
        .otlp
        .settings(|_| None)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "otlp.endpoint: gRPC has no path, but the URL has \"/x\"; remove it, or write protocol: http/protobuf"
    );
}

#[test]
fn variables_switch_the_push_off_and_say_so() {
    let file = "otlp: {endpoint: \"http://localhost:4317\"}";
    for (name, value) in [
        ("OTEL_SDK_DISABLED", "True"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "None"),
        ("OTEL_METRICS_EXPORTER", "PROMETHEUS"),
    ] {
        let warning = format!("{name}: {}, so nothing is pushed over OTLP", value.to_lowercase());
        assert_eq!(resolve(file, &[(name, value)]), (None, vec![warning.clone()]));
        assert_eq!(resolve("", &[METRICS, (name, value)]), (None, vec![warning]));
        // Nothing would be pushed anyway.
        assert_eq!(resolve("", &[(name, value)]), (None, Vec::new()));
    }
    for (name, value) in [
        ("OTEL_SDK_DISABLED", "false"),
        ("OTEL_SDK_DISABLED", " "),
        ("OTEL_METRICS_EXPORTER", "prometheus, OTLP"),
        ("OTEL_METRICS_EXPORTER", ""),
    ] {
        assert_eq!(settings(file, &[(name, value)]), settings(file, &[]));
    }
}

#[test]
fn what_the_environment_has_a_part_in_is_marked() {
    let file = "otlp: {endpoint: \"https://localhost:4317\", tls: {ca_file: a}}";
    let certificate = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "b");
    let client = [
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "c"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "k"),
    ];
    for (yaml, variables, expected) in [
        (file, vec![certificate, METRICS], false),
        (file, client.to_vec(), true),
        ("", vec![METRICS], true),
    ] {
        assert_eq!(
            settings(yaml, &variables).is_by_environment,
            expected,
            "{yaml} {variables:?}"
        );
    }
}

#[test]
fn keys_and_certificates_are_known_whoever_names_them() {
    let client = [
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "c"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "k"),
    ];
    let file = "otlp: {endpoint: \"https://localhost:4317\", tls: {ca_file: a}}";
    assert_eq!(settings(file, &client).files(), ["a", "c", "k"].map(PathBuf::from));
    // Without TLS they are not read.
    let plain = "otlp: {endpoint: \"http://localhost:4317\"}";
    assert!(settings(plain, &client).files().is_empty());
}

#[test]
fn faults_of_the_section_are_told_with_line_key_and_remedy() {
    for (section, sentence) in [
        (
            "endpoint: localhost:4317",
            "otlp.endpoint: \"localhost:4317\" does not begin with http:// or https:// and a host; write for example \
             http://localhost:4317",
        ),
        (
            "endpoint: \"http://localhost/x\", protocol: grpc",
            "otlp.endpoint: gRPC has no path, but the URL has \"/x\"; remove it, or write protocol: http/protobuf",
        ),
        (
            "endpoint: \"http://localhost\", tls: {ca_file: a}",
            "otlp.tls: the endpoint begins with http://, so there is no TLS; write https://, or remove tls",
        ),
        (
            "protocol: http/json",
            "otlp.protocol: \"http/json\" is not a protocol; use one of grpc, http/protobuf",
        ),
        (
            "interval: 10ms",
            "otlp.interval: \"10ms\" is out of range; allowed are 1s to 1h",
        ),
        ("timeout: 10", "otlp.timeout: \"10\" has no unit; write 10s"),
        (
            "compression: zstd",
            "otlp.compression: \"zstd\" is not a compression; use one of gzip, none",
        ),
        (
            "temporality: lowmemory",
            "otlp.temporality: \"lowmemory\" is not a temporality; use one of cumulative, delta",
        ),
        (
            "names: dotted",
            "otlp.names: \"dotted\" is not a set of names; use one of conventions, prometheus",
        ),
        (
            "histograms: native",
            "otlp.histograms: \"native\" is not a form of histograms; use one of exponential, explicit",
        ),
        (
            "headers: {content-type: text/plain}",
            "otlp.headers: the header \"content-type\" is set by the protocol itself; remove it",
        ),
        (
            "headers: {a: b, A: c}",
            "otlp.headers: the header \"A\" is given twice; keep one of the two",
        ),
        (
            "headers: {x-bin: c}",
            "otlp.headers: the header \"x-bin\" has a name that gRPC keeps for binary values; choose another",
        ),
        (
            "headers: {x: gehéim}",
            "otlp.headers: the header \"x\" has a value with characters other than printable ASCII; encode it",
        ),
        (
            "headers: [a]",
            "otlp.headers: found a list; write a mapping of names to values",
        ),
        // As the variable has them.
        (
            "headers: \"authorization=Bearer geheim\"",
            "otlp.headers: found a single value; write a mapping of names to values",
        ),
        (
            "tls: {cert_file: a}",
            "otlp.tls.cert_file: a certificate needs its key; add otlp.tls.key_file",
        ),
        (
            "tls: {key_file: a}",
            "otlp.tls.key_file: a certificate needs its key; add otlp.tls.cert_file",
        ),
        (
            "tls: {ca_file: \"\"}",
            "otlp.tls.ca_file: the path is empty; write the path of a PEM file, or remove the key",
        ),
        (
            "tls: {insecure_skip_verify: true}",
            "otlp.tls: unknown key \"insecure_skip_verify\"; use one of ca_file, cert_file, key_file",
        ),
    ] {
        check(
            &format!("tcp: {{}}\notlp: {{{section}}}"),
            &format!("t.yaml:2: {sentence}"),
        );
    }
}

#[test]
fn the_built_in_configuration_pushes_nothing() {
    assert_eq!(Config::built_in().otlp.settings(|_| None).unwrap(), (None, Vec::new()));
}
