//! Closed sets: words of the file, each an enum.

/// An enum of words, in the order of the documentation.
macro_rules! words {
    ($($(#[$about:meta])* $set:ident: $($(#[$what:meta])* $value:ident = $word:expr,)+;)+) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $set {
            $($(#[$what])* $value,)+
        }

        impl $set {
            /// Every value, in the order of the documentation.
            pub const ALL: [Self; [$(stringify!($value)),+].len()] = [$(Self::$value),+];

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }
        }
    )+};
}

words! {
    /// What a drop means to an operator: the value of the `class` label.
    Class:
    /// Part of normal operation.
    Benign = "benign",
    /// Somebody decided it: a firewall, a route, a socket option.
    Policy = "policy",
    /// The packet or its handling was wrong.
    Error = "error",
    /// Something was full.
    Capacity = "capacity",;

    /// How requests travel.
    Protocol:
    /// gRPC over HTTP/2.
    Grpc = opentelemetry_otlp::OTEL_EXPORTER_OTLP_PROTOCOL_GRPC,
    /// Protobuf over HTTP/1.1.
    HttpProtobuf = opentelemetry_otlp::OTEL_EXPORTER_OTLP_PROTOCOL_HTTP_PROTOBUF,;

    /// How requests are compressed.
    Compression:
    /// With gzip.
    Gzip = "gzip",
    /// Not at all.
    None = "none",;

    /// What the number of a counter or histogram means.
    Temporality:
    /// All since the start of the exporter.
    Cumulative = "cumulative",
    /// What came since the last push that the receiver took.
    Delta = "delta",;

    /// What metrics and labels are called over OTLP.
    Names:
    /// Dotted, as OpenTelemetry's semantic conventions have it.
    Conventions = "conventions",
    /// As in a scrape.
    Prometheus = "prometheus",;

    /// What histograms are over OTLP.
    HistogramForm:
    /// With buckets that grow exponentially.
    Exponential = "exponential",
    /// With the classic buckets of a scrape.
    Explicit = "explicit",;

    /// Where the names of workloads come from.
    WorkloadSource:
    /// From nowhere: workloads are not told apart.
    None = "none",
    /// From the API server within a pod that has a token, else from paths.
    Auto = "auto",
    /// From the paths of cgroups.
    Cgroup = "cgroup",
    /// From those and the names of the folders of pods' logs.
    PodLogs = "pod-logs",
    /// From those and the API server.
    Kubernetes = "kubernetes",;
}
