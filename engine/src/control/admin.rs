//! Paths and answers of the admin listener.

use std::collections::BTreeMap;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;

use super::publish::{PublishAnswer, Refused};
use super::{AdminState, connections, exposition, metrics};
use crate::clock::Clock;
use crate::ingest::Source;
use crate::ingest::source_state::SourceHealth;

pub(super) type Answer = Response<Full<Bytes>>;

/// What can be asked; named in the answer to anything else.
const PATHS: [&str; 7] = [
    "GET /health",
    "GET /ready",
    "GET /api/ws/health",
    "GET /metrics",
    "GET /connections?top=20&by=queue",
    "POST /publish",
    "POST /drain",
];

/// Answers one request. The body is left out of answers to HEAD by hyper.
pub(super) async fn answer(state: &AdminState, request: Request<Incoming>) -> Answer {
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_post = request.method() == Method::POST;
    match request.uri().path() {
        "/health" if is_get => json(StatusCode::OK, &Health { status: "ok" }),
        "/ready" if is_get => ready(state),
        "/api/ws/health" if is_get => service_health(state).await,
        "/metrics" if is_get => metrics(state, &request).await,
        connections::PATH if is_get => connections::answer(state, request.uri().query()).await,
        "/publish" if is_post => publish(state, request).await,
        "/drain" if is_post => drain(state),
        "/health" | "/ready" | "/api/ws/health" | "/metrics" | connections::PATH => {
            not_allowed("GET, HEAD")
        }
        "/publish" | "/drain" => not_allowed("POST"),
        _ => json(
            StatusCode::NOT_FOUND,
            &NotFound {
                error: "unknown path",
                paths: PATHS,
            },
        ),
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sources: BTreeMap<&'static str, &'static str>,
}

/// What a person asks first: is it well, how much does it serve, for how long.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceHealth {
    status: &'static str,
    connections: u64,
    subscriptions: u64,
    /// `off` where Redis is no source.
    redis: &'static str,
    uptime_seconds: u64,
    timestamp: String,
}

#[derive(Serialize)]
struct NotFound {
    error: &'static str,
    paths: [&'static str; PATHS.len()],
}

#[derive(Serialize)]
struct Failure<'a> {
    error: &'a str,
}

fn ready(state: &AdminState) -> Answer {
    let none = BTreeMap::new();
    if state.draining.get() {
        return json(
            StatusCode::SERVICE_UNAVAILABLE,
            &Ready {
                status: "draining",
                sources: none,
            },
        );
    }
    if state
        .sources
        .iter()
        .all(|source| source.health() == SourceHealth::Up)
    {
        return json(
            StatusCode::OK,
            &Ready {
                status: "ready",
                sources: none,
            },
        );
    }
    let sources = state
        .sources
        .iter()
        .map(|source| (source.name(), source.health().as_str()))
        .collect();
    let status = if state.ready_requires_source {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    json(
        status,
        &Ready {
            status: "degraded",
            sources,
        },
    )
}

/// Orders a drain; a second order changes nothing.
fn drain(state: &AdminState) -> Answer {
    state.drain_ordered.notify_one();
    json(StatusCode::ACCEPTED, &Health { status: "draining" })
}

async fn service_health(state: &AdminState) -> Answer {
    let shards = state.shards.metrics().await;
    let well = state
        .sources
        .iter()
        .all(|source| source.health() == SourceHealth::Up);
    let status = match (state.draining.get(), well) {
        (true, _) => "draining",
        (false, true) => "healthy",
        (false, false) => "degraded",
    };
    let redis = state
        .sources
        .iter()
        .find(|source| source.source() == Source::Redis);
    let health = ServiceHealth {
        status,
        connections: shards.iter().flat_map(|shard| shard.connections).sum(),
        subscriptions: shards.iter().map(|shard| shard.subscriptions).sum(),
        redis: redis.map_or("off", |source| source.health().as_str()),
        uptime_seconds: state.started.elapsed().as_secs(),
        timestamp: Clock::wall().to_string(),
    };
    json(StatusCode::OK, &health)
}

/// As OpenMetrics for whoever asks for that, as the older text format for others.
async fn metrics(state: &AdminState, request: &Request<Incoming>) -> Answer {
    let Ok(text) = metrics::Scrape::collect(state).await.into_text() else {
        return failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics can't be written",
        );
    };
    let accepts = request.headers().get_all(ACCEPT).iter();
    let mut accepts = accepts.filter_map(|accept| accept.to_str().ok());
    if accepts.any(|accept| accept.contains("application/openmetrics-text")) {
        with_body(StatusCode::OK, metrics::OPENMETRICS, text)
    } else {
        with_body(StatusCode::OK, metrics::PLAIN, exposition::plain(&text))
    }
}

async fn publish(state: &AdminState, request: Request<Incoming>) -> Answer {
    match state.publishing.publish(request.into_body()).await {
        Ok(answer) if answer.accepted == 0 => {
            json::<PublishAnswer>(StatusCode::BAD_REQUEST, &answer)
        }
        Ok(answer) => json(StatusCode::ACCEPTED, &answer),
        Err(refused) => {
            let status = match &refused {
                Refused::Timeout => StatusCode::REQUEST_TIMEOUT,
                Refused::Body(_) => StatusCode::BAD_REQUEST,
                Refused::Redis(_) | Refused::Paused => StatusCode::SERVICE_UNAVAILABLE,
            };
            let mut answer = failure(status, &refused.to_string());
            if status == StatusCode::SERVICE_UNAVAILABLE {
                answer
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            answer
        }
    }
}

fn not_allowed(allow: &'static str) -> Answer {
    let mut answer = failure(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("the method must be {allow}"),
    );
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    answer
}

pub(super) fn failure(status: StatusCode, error: &str) -> Answer {
    json(status, &Failure { error })
}

pub(super) fn json<T: Serialize>(status: StatusCode, body: &T) -> Answer {
    // Structs of strings and numbers serialize.
    with_body(
        status,
        "application/json",
        serde_json::to_string(body).unwrap_or_default(),
    )
}

fn with_body(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
