//! What control tells of itself.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// Metrics of control.
pub struct ControlMetrics {
    samples: Counter,
    dropped: Counter,
    solve: Histogram,
    plan: Histogram,
    turn: Histogram,
    longest_hold: Gauge,
    held: Duration,
    epoch: Gauge,
    error: Gauge,
    movement: Gauge,
    sketch: [Gauge; 2],
    members: Gauge,
    guarded: Gauge,
    turned: Gauge,
}

impl Default for ControlMetrics {
    fn default() -> Self {
        Self {
            samples: counter!("trustflow_control_samples_total"),
            dropped: counter!("trustflow_control_samples_dropped_total"),
            solve: histogram!("trustflow_control_solve_duration_seconds"),
            plan: histogram!("trustflow_control_plan_duration_seconds"),
            turn: histogram!("trustflow_control_turn_duration_seconds"),
            longest_hold: gauge!("trustflow_control_longest_hold_seconds"),
            held: Duration::ZERO,
            sketch: [gauge!("trustflow_control_sketch_requests"), gauge!("trustflow_control_sketch_bytes")],
            members: gauge!("trustflow_control_member_terms"),
            guarded: gauge!("trustflow_control_guarded_members"),
            epoch: gauge!("trustflow_control_price_epoch"),
            error: gauge!("trustflow_control_forecast_error_ratio"),
            movement: gauge!("trustflow_control_price_movement"),
            turned: gauge!("trustflow_control_last_turn_timestamp_seconds"),
        }
    }
}

impl ControlMetrics {
    /// Counts a sample that was taken.
    pub fn sampled(&self) {
        self.samples.increment(1);
    }

    /// Says how many samples were dropped so far.
    pub fn dropped(&self, dropped: u64) {
        self.dropped.absolute(dropped);
    }

    /// Records a solve, and how far it moved prices on average.
    pub fn solved(&self, took: Duration, movement: f64) {
        self.solve.record(took.as_secs_f64());
        self.movement.set(movement);
    }

    /// Records how long a plan took to make, or none, and the turn in which it was, which ended just after an instant of
    /// the state's clock.
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    pub fn turned(&self, at_ms: i64, turn: Duration, plan: Option<Duration>) {
        self.turned.set(at_ms as f64 / 1_000.0);
        self.turn.record(turn.as_secs_f64());
        if let Some(took) = plan {
            self.plan.record(took.as_secs_f64());
        }
    }

    /// Notes how long the state's lock was held.
    pub fn held(&mut self, held: Duration) {
        if held > self.held {
            self.held = held;
            self.longest_hold.set(held.as_secs_f64());
        }
    }

    /// Says how many requests are in the sketch, and the bytes that they take.
    #[expect(clippy::cast_precision_loss, reason = "gauges")]
    pub fn sketch(&self, requests: usize, bytes: usize) {
        for (gauge, value) in self.sketch.iter().zip([requests, bytes]) {
            gauge.set(value as f64);
        }
    }

    /// Says how many guarantees and caps are priced, and how many members the guard wants served.
    #[expect(clippy::cast_precision_loss, reason = "gauges")]
    pub fn members(&self, priced: usize, guarded: usize) {
        self.members.set(priced as f64);
        self.guarded.set(guarded as f64);
    }

    /// Says which prices serve, and how wrong the forecast was.
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    pub fn published(&self, epoch: u64, forecast_error: f64) {
        self.epoch.set(epoch as f64);
        self.error.set(forecast_error);
    }
}
