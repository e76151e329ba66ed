//! `io.prometheus.client` as far as the exporter uses it.

/// Metrics of one name.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MetricFamily {
    /// With `_total` for a counter.
    #[prost(string, tag = "1")]
    pub name: String,
    /// One sentence.
    #[prost(string, tag = "2")]
    pub help: String,
    /// Kind of the metrics.
    #[prost(enumeration = "MetricType", tag = "3")]
    pub r#type: i32,
    /// One for each label set.
    #[prost(message, repeated, tag = "4")]
    pub metric: Vec<Metric>,
    /// Base unit, if any.
    #[prost(string, tag = "5")]
    pub unit: String,
}

/// What a family measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MetricType {
    /// Only grows.
    Counter = 0,
    /// Goes up and down.
    Gauge = 1,
    /// Not used.
    Summary = 2,
    /// Not used.
    Untyped = 3,
    /// Counts by size.
    Histogram = 4,
    /// Not used.
    GaugeHistogram = 5,
}

/// One label set and its value.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metric {
    /// Labels.
    #[prost(message, repeated, tag = "1")]
    pub label: Vec<LabelPair>,
    /// Of a gauge.
    #[prost(message, optional, tag = "2")]
    pub gauge: Option<Gauge>,
    /// Of a counter.
    #[prost(message, optional, tag = "3")]
    pub counter: Option<Counter>,
    /// Of a histogram.
    #[prost(message, optional, tag = "7")]
    pub histogram: Option<Histogram>,
}

/// A label.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LabelPair {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Value of a gauge.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Gauge {
    /// The value.
    #[prost(double, tag = "1")]
    pub value: f64,
}

/// Value of a counter.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Counter {
    /// The value.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// When it was 0: `created_timestamp`, later named `start_timestamp`.
    #[prost(message, optional, tag = "3")]
    pub start: Option<Timestamp>,
}

/// Value of a histogram.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Histogram {
    /// Number of observations.
    #[prost(uint64, tag = "1")]
    pub sample_count: u64,
    /// Their sum.
    #[prost(double, tag = "2")]
    pub sample_sum: f64,
    /// Classic buckets.
    #[prost(message, repeated, tag = "3")]
    pub bucket: Vec<Bucket>,
    /// 2^schema native buckets per power of two.
    #[prost(sint32, tag = "5")]
    pub schema: i32,
    /// Breadth of the native bucket of zeros.
    #[prost(double, tag = "6")]
    pub zero_threshold: f64,
    /// Observations in it.
    #[prost(uint64, tag = "7")]
    pub zero_count: u64,
    /// Which native buckets follow.
    #[prost(message, repeated, tag = "12")]
    pub positive_span: Vec<Span>,
    /// Their counts, each as the difference to the one before.
    #[prost(sint64, repeated, tag = "13")]
    pub positive_delta: Vec<i64>,
    /// When it was empty.
    #[prost(message, optional, tag = "15")]
    pub start: Option<Timestamp>,
}

/// A classic bucket.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Bucket {
    /// Observations up to the bound.
    #[prost(uint64, tag = "1")]
    pub cumulative_count: u64,
    /// The bound, inclusive.
    #[prost(double, tag = "2")]
    pub upper_bound: f64,
}

/// Native buckets in a row.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Span {
    /// How many indices after the end of the span before; the index itself in the first one.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    /// How many buckets.
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

/// `google.protobuf.Timestamp`
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Timestamp {
    /// Since 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Beyond those.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}
