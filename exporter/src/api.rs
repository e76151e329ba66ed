//! The API: JSON for programs and for people who look closer than the metrics do. `docs/openapi.yaml` describes it.
//!
//! Nothing is read but when somebody asks, and those who ask together share one reading.

pub mod access;
pub mod drops;
pub mod flows;
pub mod query;
pub mod rows;
pub mod status;

use crate::{collect::CollectError, http::Service};
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use query::{Query, WrongParameter};
use serde::Serialize;
use std::sync::Arc;

/// Its paths: flows, drops, status.
pub const PATHS: [&str; 3] = ["/api/v1/flows", "/api/v1/drops", "/api/v1/status"];

/// Its routes.
pub fn routes() -> Router<Arc<Service>> {
    let [of_flows, of_drops, of_status] = PATHS;
    Router::new()
        .route(of_flows, get(flows))
        .route(of_drops, get(drops))
        .route(of_status, get(status))
}

async fn flows(State(service): State<Arc<Service>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    if !service.flows.is_open(service.web.has_auth()) {
        return Err(Refusal::Closed);
    }
    let wanted = flows::Wanted::parse(&query.unwrap_or_default())?;
    let flows = service.collector.flows().await?;
    // Sorting many flows takes a while, in which others are to be answered.
    let answer = tokio::task::spawn_blocking(move || wanted.answer(&flows)).await;
    Ok(json(StatusCode::OK, &answer.map_err(CollectError::from)?))
}

async fn drops(State(service): State<Arc<Service>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let wanted = drops::Wanted::parse(&query.unwrap_or_default())?;
    let rows = service.collector.drops().await?;
    Ok(json(StatusCode::OK, &wanted.answer(&rows)))
}

async fn status(State(service): State<Arc<Service>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    Query::parse(&query.unwrap_or_default(), &[])?;
    let collection = service.collector.collect(false).await?;
    let started = service.collector.started();
    let answer = status::answer(&collection.status, &service.plan, &service.release, started);
    Ok(json(StatusCode::OK, &answer))
}

/// Why there is no answer.
enum Refusal {
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
            Self::Closed => refuse(StatusCode::FORBIDDEN, access::REMEDY),
            Self::Parameter(wrong) => json(StatusCode::BAD_REQUEST, &wrong),
            Self::Failed(error) => {
                tracing::error!(%error, "the kernel could not be read");
                refuse(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
            }
        }
    }
}

fn refuse(status: StatusCode, error: &str) -> Response {
    json(status, &serde_json::json!({ "error": error }))
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("encode the answer: {error}\n"),
        )
            .into_response(),
    }
}
