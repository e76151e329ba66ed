//! What a receiver adds up while the temporality changes.

use super::*;
use crate::serve::collect::tests::collector;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::post,
};
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Sum, metric::Data, number_data_point::Value};
use prost::Message as _;
use std::sync::{Mutex, MutexGuard};
use tcpvitals_config::Config;
use tokio::net::TcpListener;

/// What a receiver knows.
#[derive(Debug, Default)]
struct Told {
    refuses: bool,
    /// The counter of collections, which grows with each.
    collections: f64,
    /// Sums that it was sent as deltas, taken or not.
    deltas: usize,
}

impl Told {
    fn take(&mut self, name: &str, sum: &Sum) {
        let is_delta = sum.aggregation_temporality == AggregationTemporality::Delta as i32;
        self.deltas += usize::from(sum.is_monotonic && is_delta);
        if name == "tcpvitals_collections_total" && !self.refuses {
            let before = if is_delta { self.collections } else { 0.0 };
            let Some(Value::AsDouble(value)) = sum.data_points[0].value else {
                panic!("another value: {sum:?}")
            };
            self.collections = before + value;
        }
    }
}

type Shared = Arc<Mutex<Told>>;

async fn export(State(told): State<Shared>, body: Bytes) -> StatusCode {
    let mut told = told.lock().unwrap();
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    let scopes = request.resource_metrics.iter().flat_map(|of| &of.scope_metrics);
    for metric in scopes.flat_map(|of| &of.metrics) {
        if let Some(Data::Sum(sum)) = &metric.data {
            told.take(&metric.name, sum);
        }
    }
    if told.refuses {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    }
}

struct Scene {
    told: Shared,
    port: u16,
    pusher: Pusher,
}

impl Scene {
    async fn new() -> Self {
        let told = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route("/v1/metrics", post(export));
        let router = router.layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&told));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let collector = Arc::new(collector(&config("labels: {tcp: [subnet, role]}")));
        let pusher = Pusher::new(collector, Arc::default(), Resource::default());
        Self { told, port, pusher }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// What is known afterwards, and how many collections there were.
    async fn push(&mut self, temporality: &str, refuses: bool) -> (f64, f64) {
        self.told().refuses = refuses;
        let config = config(&format!(
            "otlp: {{endpoint: 'http://127.0.0.1:{}/v1/metrics', protocol: http/protobuf, compression: none, \
             names: prometheus, temporality: {temporality}}}",
            self.port
        ));
        let (settings, _) = config.otlp.settings(|_| None).unwrap();
        let receiver = Receiver::new(settings.unwrap()).unwrap();
        let (_sender, destination) = watch::channel(None);
        let (mut client, due) = (receiver.client(), Instant::now() + LAST);
        let collection = self.pusher.collect(true).await.unwrap();
        let collections = collection.status.exporter.collections as f64;
        let pushed = self
            .pusher
            .push(Ok(collection), &receiver, &mut client, due, &destination);
        assert_eq!(pushed.await == Delivery::Taken, !refuses);
        (self.told().collections, collections)
    }
}

fn config(section: &str) -> Config {
    Config::from_yaml(&format!("{{findings: {{enabled: false}}, {section}}}"), "t.yaml").unwrap()
}

#[tokio::test]
async fn deltas_begin_where_the_last_cumulative_push_was_taken() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.push("cumulative", true).await, (0.0, 1.0));
    assert_eq!(scene.push("delta", false).await, (2.0, 2.0));
    assert_eq!(scene.push("cumulative", false).await, (3.0, 3.0));
    assert_eq!(scene.push("cumulative", true).await, (3.0, 4.0));
    assert_eq!(scene.push("delta", true).await, (3.0, 5.0));
    assert_eq!(scene.push("delta", false).await, (6.0, 6.0));
}

#[tokio::test]
async fn a_receiver_of_cumulative_values_is_sent_no_delta() {
    let mut scene = Scene::new().await;
    scene.push("delta", true).await;
    let relabelled = config("labels: {tcp: [subnet]}");
    scene.pusher.collector.reload(Ok(relabelled)).await.unwrap();
    scene.told().deltas = 0;
    scene.push("cumulative", false).await;
    assert_eq!(scene.told().deltas, 0);
    // What had grown under the old labels is in what it was told.
    assert_eq!(scene.pusher.deltas.closed(1, usize::MAX).len(), 0);
}
