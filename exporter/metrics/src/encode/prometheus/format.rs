//! The formats that Prometheus takes.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0, without `_created`: what is no comment there is a series to Prometheus and others, so that it would
    /// double the number of counters in a database. Who wants the start of a counter asks for protobuf.
    OpenMetrics,
    /// Prometheus protobuf, delimited by lengths: native beside classic buckets, and since when counters count.
    Protobuf,
}

impl Format {
    /// All of them. What a client would take in the same way gets the first.
    pub const ALL: [Self; 3] = [Self::Text, Self::OpenMetrics, Self::Protobuf];

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}
