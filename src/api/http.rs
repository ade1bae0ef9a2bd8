//! Metrics and health over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::domain::ItemKind;
use crate::engine::{Engine, WriteStatus};
use crate::telemetry::Gauges;

/// What the HTTP side reads.
#[derive(Clone)]
pub struct HttpState {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Renders metrics.
    pub metrics: PrometheusHandle,
    /// Set when the server began to drain.
    pub draining: Arc<AtomicBool>,
}

/// `/metrics`, `/healthz` (the process lives) and `/readyz` (it serves and takes writes).
pub fn router(state: HttpState) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(state)
}

async fn metrics(State(state): State<HttpState>) -> impl IntoResponse {
    gauges(&state.engine).set();
    state.metrics.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], state.metrics.render())
}

async fn ready(State(state): State<HttpState>) -> (StatusCode, String) {
    if state.draining.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned());
    }
    match state.engine.write_status() {
        WriteStatus::Ok => (StatusCode::OK, "ready\n".to_owned()),
        WriteStatus::Poisoned { cause } => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("writes are refused since a commit failed: {cause}\n"))
        }
        WriteStatus::ClockJumped { jump_ms } => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("writes are refused since the clock jumped by {jump_ms} ms\n"))
        }
    }
}

fn gauges(engine: &Engine) -> Gauges {
    let now = engine.clock().now();
    engine.read(|state| {
        #[expect(clippy::cast_precision_loss, reason = "ages fit")]
        let seconds = |ms: i64| ms as f64 / 1_000.0;
        Gauges {
            revision: engine.hot().revision(),
            policy_version: state.policy().version,
            merchants: state.merchant_count(),
            items: ItemKind::ALL.map(|kind| state.items(kind).len()),
            providers: state.providers().len(),
            facts_age_seconds: seconds(now.0 - state.facts_day().plus(1).start().0),
            state_lag_seconds: seconds(now.0 - state.meta().now.0),
            disabled_signals: state.disabled().iter().filter(|disabled| **disabled).count(),
            remembered_requests: state.remembered_requests(),
            remembered_reports: state.remembered_reports(),
            audit_entries: engine.audit_entries(),
            is_building: state.transition().is_some(),
            is_policy_pending: state.meta().pending.is_some(),
            is_killed: state.meta().kill_switch.is_some(),
            policy_problems: engine.policy_source().problems.len(),
        }
    })
}
