//! The API: JSON for programs and for people who look closer than the metrics do. `docs/openapi.yaml` describes it.
//!
//! Nothing is read but when somebody asks, and those who ask together share one reading.

pub mod drops;
pub mod flows;
pub mod query;
pub mod rows;
pub mod status;

use super::{access, service::Service};
use crate::serve::{
    collect::CollectError,
    web::{Entrance, Turn, one_at_a_time, own_pages_only},
};
use axum::{
    Extension, Router,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use query::{Query, WrongParameter};
use serde::Serialize;
use std::sync::Arc;

/// Its paths: flows, drops, status, cardinality, findings.
pub const PATHS: [&str; 5] = [
    "/api/v1/flows",
    "/api/v1/drops",
    "/api/v1/status",
    CARDINALITY,
    FINDINGS,
];

/// What each label and metric costs.
pub const CARDINALITY: &str = "/api/v1/cardinality";

/// What is wrong.
pub const FINDINGS: &str = "/api/v1/findings";

pub fn routes() -> Router<Arc<Service>> {
    let [of_flows, of_drops, of_status, of_cost, of_findings] = PATHS;
    let in_turn = || middleware::from_fn(one_at_a_time);
    let own_pages = middleware::from_fn(own_pages_only);
    Router::new()
        .route(of_flows, get(flows).layer(in_turn()).layer(own_pages))
        .route(of_drops, get(drops).layer(in_turn()))
        .route(of_status, get(status).layer(in_turn()))
        .route(of_cost, get(cardinality).layer(in_turn()))
        .route(of_findings, get(findings).layer(in_turn()))
}

async fn flows(
    State(service): State<Arc<Service>>,
    Extension(entrance): Extension<Entrance>,
    Extension(turn): Extension<Turn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    if !service.flows.is_open(entrance.is_local(), service.web.has_auth()) {
        return Err(Refusal::Closed);
    }
    let wanted = flows::Wanted::parse(&query.unwrap_or_default())?;
    let flows = service.collector.flows().await?;
    let answer = aside(turn, move || wanted.encode(&flows)).await?;
    Ok(encoded(StatusCode::OK, answer))
}

async fn drops(
    State(service): State<Arc<Service>>,
    Extension(turn): Extension<Turn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let wanted = drops::Wanted::parse(&query.unwrap_or_default())?;
    let rows = service.collector.drops().await?;
    let answer = aside(turn, move || wanted.encode(&rows)).await?;
    Ok(encoded(StatusCode::OK, answer))
}

/// Makes an answer of many rows where it holds up nobody. Its turn lasts as long as the work.
async fn aside<T: Send + 'static>(turn: Turn, work: impl FnOnce() -> T + Send + 'static) -> Result<T, CollectError> {
    let made = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    Ok(made.await?)
}

async fn status(State(service): State<Arc<Service>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    Query::parse(&query.unwrap_or_default(), &[])?;
    let collection = service.collector.collect(false).await?;
    let started = service.collector.started();
    let answer = status::answer(&collection.status, &service.coverage, &service.about, started);
    Ok(json(StatusCode::OK, &answer))
}

async fn cardinality(
    State(service): State<Arc<Service>>,
    Extension(turn): Extension<Turn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    Query::parse(&query.unwrap_or_default(), &[])?;
    let collection = service.collector.collect(false).await?;
    let answer = aside(turn, move || encode(&collection.shown.cost())).await?;
    Ok(encoded(StatusCode::OK, answer))
}

async fn findings(State(service): State<Arc<Service>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    Query::parse(&query.unwrap_or_default(), &[])?;
    let collection = service.collector.collect(false).await?;
    let report = collection.findings.ok_or(Refusal::Off)?;
    Ok(json(StatusCode::OK, &report.beside(&service.coverage)))
}

/// Why there is no answer.
enum Refusal {
    Off,
    Closed,
    Parameter(WrongParameter),
    Failed(CollectError),
}

impl From<WrongParameter> for Refusal {
    fn from(wrong: WrongParameter) -> Self {
        Self::Parameter(wrong)
    }
}

impl From<CollectError> for Refusal {
    fn from(error: CollectError) -> Self {
        Self::Failed(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Off => refuse(
                StatusCode::NOT_FOUND,
                "nothing is judged here; set findings.enabled to true",
            ),
            Self::Closed => refuse(StatusCode::FORBIDDEN, access::REMEDY),
            Self::Parameter(wrong) => json(StatusCode::BAD_REQUEST, &wrong),
            // The collector has said so in the log.
            Self::Failed(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        }
    }
}

fn refuse(status: StatusCode, error: &str) -> Response {
    json(status, &serde_json::json!({ "error": error }))
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    encoded(status, encode(value))
}

fn encode(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut body = serde_json::to_vec(value)?;
    body.push(b'\n');
    Ok(body)
}

fn encoded(status: StatusCode, body: serde_json::Result<Vec<u8>>) -> Response {
    match body {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("encode the answer: {error}\n"),
        )
            .into_response(),
    }
}
