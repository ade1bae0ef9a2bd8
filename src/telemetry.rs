//! Logs and metrics. Names of metrics are listed in docs/metrics.md.

mod access;
mod control;

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

pub use access::{
    ConnectionMetrics, CredentialFileMetrics, Handshake, call_denied, call_refused, calls_of, certificate_ends,
};
pub use control::ControlMetrics;

/// Close together where a Score ends, so that a tail that grows by a tenth shows.
const DURATION_BUCKETS: &[f64] = &[
    2e-6, 5e-6, 7e-6, 1e-5, 1.3e-5, 1.6e-5, 2e-5, 2.5e-5, 3e-5, 4e-5, 5e-5, 6e-5, 8e-5, 1e-4, 1.3e-4, 1.6e-4, 2e-4,
    2.5e-4, 3e-4, 4e-4, 5e-4, 7e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 5.0,
];
const COUNT_BUCKETS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// Starts the metrics recorder; the handle renders what `/metrics` answers.
///
/// # Errors
/// When another recorder is installed already.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), DURATION_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), COUNT_BUCKETS)?
        .install_recorder()
}

/// Starts logging to stderr. A second start in one process is ignored.
pub fn start_logs(format: LogFormat, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only the first subscriber of a process can be installed, which tests that start several servers rely on.
    let _ = match format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Pretty => builder.compact().try_init(),
    };
}

/// Metrics of one gRPC method.
pub struct MethodMetrics {
    ok: Counter,
    duration: Histogram,
    method: String,
}

impl MethodMetrics {
    /// Of a method, named `Service/Method`.
    #[must_use]
    pub fn of(method: &str) -> Self {
        let method = method.to_owned();
        Self {
            ok: counter!("trustflow_grpc_requests_total", "method" => method.clone(), "code" => "OK"),
            duration: histogram!("trustflow_grpc_duration_seconds", "method" => method.clone()),
            method,
        }
    }

    /// Counts a call that ended. `code` is none when it went well.
    pub fn ended(&self, code: Option<tonic::Code>, took: Duration) {
        self.duration.record(took.as_secs_f64());
        match code {
            None => self.ok.increment(1),
            Some(code) => {
                let code = code_name(code);
                counter!("trustflow_grpc_requests_total", "method" => self.method.clone(), "code" => code).increment(1);
            }
        }
    }
}

/// The name of a code as gRPC spells it, e.g. `INVALID_ARGUMENT`.
fn code_name(code: tonic::Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Metrics of Score.
#[derive(Clone)]
pub struct ScoreMetrics {
    candidates: Counter,
    unknown: Counter,
    batch: Histogram,
}

impl Default for ScoreMetrics {
    fn default() -> Self {
        Self {
            candidates: counter!("trustflow_score_candidates_total"),
            unknown: counter!("trustflow_score_unknown_total"),
            batch: histogram!("trustflow_score_batch_size"),
        }
    }
}

impl ScoreMetrics {
    /// Counts one call.
    #[expect(clippy::cast_precision_loss, reason = "batches are small")]
    pub fn scored(&self, candidates: usize, unknown: usize) {
        self.candidates.increment(candidates as u64);
        if unknown > 0 {
            self.unknown.increment(unknown as u64);
        }
        self.batch.record(candidates as f64);
    }
}

/// Metrics of Allocate.
#[derive(Clone)]
pub struct AllocateMetrics {
    candidates: Counter,
    unknown: Counter,
    batch: Histogram,
    empty: Counter,
    slots: [Counter; 4],
}

impl Default for AllocateMetrics {
    fn default() -> Self {
        let reasons = ["organic", "support", "guarantee", "fill"];
        Self {
            candidates: counter!("trustflow_allocate_candidates_total"),
            unknown: counter!("trustflow_allocate_unknown_total"),
            batch: histogram!("trustflow_allocate_batch_size"),
            empty: counter!("trustflow_allocate_empty_slots_total"),
            slots: reasons.map(|reason| counter!("trustflow_allocate_slots_total", "reason" => reason)),
        }
    }
}

impl AllocateMetrics {
    /// Counts one call: its candidates, how many of them were unknown, the slots asked for, and the filled ones by
    /// reason: organic, support, guarantee, fill.
    #[expect(clippy::cast_precision_loss, reason = "batches are small")]
    pub fn allocated(&self, candidates: usize, unknown: usize, asked: usize, filled: [u64; 4]) {
        self.candidates.increment(candidates as u64);
        if unknown > 0 {
            self.unknown.increment(unknown as u64);
        }
        self.batch.record(candidates as f64);
        self.empty.increment((asked as u64).saturating_sub(filled.iter().sum()));
        for (counter, count) in self.slots.iter().zip(filled) {
            if count > 0 {
                counter.increment(count);
            }
        }
    }
}

/// Metrics of the decision log.
#[derive(Clone)]
pub struct RecordMetrics {
    recorded: Counter,
    dropped: Counter,
    active: Gauge,
}

impl Default for RecordMetrics {
    fn default() -> Self {
        Self {
            recorded: counter!("trustflow_recorded_total"),
            dropped: counter!("trustflow_record_dropped_total"),
            active: gauge!("trustflow_record_active"),
        }
    }
}

impl RecordMetrics {
    /// Counts a decision that was written.
    pub fn recorded(&self) {
        self.recorded.increment(1);
    }

    /// Counts a decision that found no room.
    pub fn dropped(&self) {
        self.dropped.increment(1);
    }

    /// Says whether decisions are recorded.
    pub fn is_active(&self, is_active: bool) {
        self.active.set(f64::from(u8::from(is_active)));
    }
}

/// Metrics of reports of exposures.
pub struct ExposureMetrics {
    reports: Counter,
    duplicates: Counter,
    rows: Counter,
    exposures: Counter,
    late: Counter,
    unattributed: Counter,
    over_budget: Counter,
    mismatched: Counter,
}

impl Default for ExposureMetrics {
    fn default() -> Self {
        Self {
            reports: counter!("trustflow_exposure_reports_total"),
            duplicates: counter!("trustflow_exposure_duplicates_total"),
            rows: counter!("trustflow_exposure_rows_total"),
            exposures: counter!("trustflow_exposures_total"),
            late: counter!("trustflow_late_exposures_total"),
            unattributed: counter!("trustflow_unattributed_exposures_total"),
            over_budget: counter!("trustflow_over_budget_exposures_total"),
            mismatched: counter!("trustflow_reservations_mismatched_total"),
        }
    }
}

impl ExposureMetrics {
    /// Counts a report that was counted: exposures, of these late, unattributed, over budget; reservations
    /// that cannot be of their rows.
    pub fn counted(&self, rows: usize, [exposures, late, unattributed, over_budget, mismatched]: [u64; 5]) {
        self.reports.increment(1);
        self.rows.increment(rows as u64);
        self.exposures.increment(exposures);
        self.late.increment(late);
        self.unattributed.increment(unattributed);
        self.over_budget.increment(over_budget);
        self.mismatched.increment(mismatched);
    }

    /// Counts a report that had been counted before.
    pub fn repeated(&self) {
        self.duplicates.increment(1);
    }
}

/// Metrics of the writer.
pub struct WriterMetrics {
    size: Histogram,
    commit: Histogram,
    append: Histogram,
    commands: Counter,
    records: Counter,
    transition: Histogram,
    refused: Gauge,
}

impl Default for WriterMetrics {
    fn default() -> Self {
        Self {
            size: histogram!("trustflow_commit_size"),
            commit: histogram!("trustflow_commit_duration_seconds"),
            append: histogram!("trustflow_commit_sync_duration_seconds"),
            commands: counter!("trustflow_commands_total"),
            records: counter!("trustflow_records_materialised_total"),
            transition: histogram!("trustflow_transition_duration_seconds"),
            refused: gauge!("trustflow_writes_refused"),
        }
    }
}

impl WriterMetrics {
    /// Counts one group commit.
    #[expect(clippy::cast_precision_loss, reason = "groups are small")]
    pub fn commit(&self, commands: usize, took: Duration) {
        self.size.record(commands as f64);
        self.commit.record(took.as_secs_f64());
        self.commands.increment(commands as u64);
    }

    /// Records how long appending and syncing took.
    pub fn append(&self, took: Duration) {
        self.append.record(took.as_secs_f64());
    }

    /// Records how long a second world took to become current.
    pub fn transition(&self, took: Duration) {
        self.transition.record(took.as_secs_f64());
    }

    /// Counts records made.
    pub fn records(&self, made: usize) {
        self.records.increment(made as u64);
    }

    /// Counts merchants that entered and left a programme.
    pub fn members(&self, programme: &str, entered: u64, left: u64) {
        if entered > 0 {
            counter!("trustflow_programme_entered_total", "programme" => programme.to_owned()).increment(entered);
        }
        if left > 0 {
            counter!("trustflow_programme_left_total", "programme" => programme.to_owned()).increment(left);
        }
    }

    /// Says whether writes are refused.
    pub fn refused(&self, refused: bool) {
        self.refused.set(f64::from(u8::from(refused)));
    }
}

/// Metrics of the leases that a node holds and of the reservations that it granted.
pub struct LeaseMetrics {
    renewals: Counter,
    short: Counter,
    failed: Counter,
    took: Histogram,
    members: Gauge,
    open: Gauge,
    settled: Counter,
    expired: Counter,
}

impl Default for LeaseMetrics {
    fn default() -> Self {
        Self {
            renewals: counter!("trustflow_lease_renewals_total"),
            short: counter!("trustflow_lease_refusals_total"),
            failed: counter!("trustflow_lease_failures_total"),
            took: histogram!("trustflow_lease_renewal_duration_seconds"),
            members: gauge!("trustflow_lease_member_accounts"),
            open: gauge!("trustflow_reservations_open"),
            settled: counter!("trustflow_reservations_settled_total"),
            expired: counter!("trustflow_reservations_expired_total"),
        }
    }
}

/// What a node holds of one programme, in exposures, and charges of it that failed so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeaseGauges {
    /// Accounts with a lease.
    pub leases: u64,
    /// Leased of budgets.
    pub budget: u64,
    /// Leased of members' accounts.
    pub members: u64,
    /// Charges that failed because nothing was leased.
    pub unleased: u64,
    /// Charges that failed because all is spent.
    pub spent: u64,
}

impl LeaseMetrics {
    /// Counts one renewal through the log: accounts in it, those of them that were granted less than they wanted.
    pub fn renewed(&self, accounts: usize, short: usize, took: Duration) {
        self.renewals.increment(accounts as u64);
        self.short.increment(short as u64);
        self.took.record(took.as_secs_f64());
    }

    /// Counts a renewal that failed.
    pub fn failed(&self) {
        self.failed.increment(1);
    }

    /// Says how many accounts of members are in memory, how many reservations are open, and how many were reported or
    /// passed their deadline so far.
    #[expect(clippy::cast_precision_loss, reason = "gauges are f64")]
    pub fn reservations(&self, members: usize, open: u64, settled: u64, expired: u64) {
        self.members.set(members as f64);
        self.open.set(open as f64);
        self.settled.absolute(settled);
        self.expired.absolute(expired);
    }

    /// Says what is held of a programme.
    #[expect(clippy::cast_precision_loss, reason = "gauges are f64")]
    pub fn programme(&self, programme: &str, held: &LeaseGauges) {
        let programme = || programme.to_owned();
        gauge!("trustflow_leases", "programme" => programme()).set(held.leases as f64);
        for (account, exposures) in [("budget", held.budget), ("member", held.members)] {
            gauge!("trustflow_leased_exposures", "programme" => programme(), "account" => account)
                .set(exposures as f64);
        }
        for (reason, count) in [("unleased", held.unleased), ("spent", held.spent)] {
            counter!("trustflow_charge_failures_total", "programme" => programme(), "reason" => reason).absolute(count);
        }
    }
}

/// Counts a change of the policy that was asked for: `publish`, `rollback` or `kill_switch`, and what it came to:
/// `taken`, `unchanged` or `refused`.
pub fn policy_change(kind: &'static str, outcome: &'static str) {
    counter!("trustflow_policy_changes_total", "kind" => kind, "outcome" => outcome).increment(1);
}

/// What gauges show, read when `/metrics` is asked.
#[derive(Clone, Copy, Debug)]
pub struct Gauges {
    /// Applied revision.
    pub revision: u64,
    /// Policy version.
    pub policy_version: u64,
    /// Merchants registered.
    pub merchants: usize,
    /// Live rooms, products, short videos registered.
    pub items: [usize; 3],
    /// Service providers registered.
    pub providers: usize,
    /// Seconds since the end of the last closed day.
    pub facts_age_seconds: f64,
    /// Seconds of the clock ahead of state time.
    pub state_lag_seconds: f64,
    /// Signals disabled.
    pub disabled_signals: usize,
    /// Requests remembered for deduplication.
    pub remembered_requests: usize,
    /// Reports of exposures remembered.
    pub remembered_reports: usize,
    /// Entries of changes and of bulk data that the audit trail holds.
    pub audit_entries: [u64; 2],
    /// Whether a second world is being built.
    pub is_building: bool,
    /// Whether a version of the policy waits for its time.
    pub is_policy_pending: bool,
    /// Whether weights are neutral.
    pub is_killed: bool,
    /// Problems of the configured policy, which therefore is not the one that serves.
    pub policy_problems: usize,
}

impl Gauges {
    /// Sets the gauges.
    #[expect(clippy::cast_precision_loss, reason = "gauges are f64")]
    pub fn set(&self) {
        let [rooms, products, videos] = self.items;
        gauge!("trustflow_revision").set(self.revision as f64);
        gauge!("trustflow_policy_version").set(self.policy_version as f64);
        for (kind, count) in [
            ("merchant", self.merchants),
            ("live_room", rooms),
            ("product", products),
            ("short_video", videos),
            ("service_provider", self.providers),
        ] {
            gauge!("trustflow_profiles", "kind" => kind).set(count as f64);
        }
        gauge!("trustflow_facts_age_seconds").set(self.facts_age_seconds);
        gauge!("trustflow_state_lag_seconds").set(self.state_lag_seconds);
        gauge!("trustflow_disabled_signals").set(self.disabled_signals as f64);
        gauge!("trustflow_remembered_requests").set(self.remembered_requests as f64);
        gauge!("trustflow_remembered_reports").set(self.remembered_reports as f64);
        for (kind, entries) in ["change", "bulk"].into_iter().zip(self.audit_entries) {
            gauge!("trustflow_audit_entries", "kind" => kind).set(entries as f64);
        }
        let flag = |flag: bool| f64::from(u8::from(flag));
        gauge!("trustflow_building").set(flag(self.is_building));
        gauge!("trustflow_policy_pending").set(flag(self.is_policy_pending));
        gauge!("trustflow_kill_switch").set(flag(self.is_killed));
        gauge!("trustflow_policy_watch_problems").set(self.policy_problems as f64);
    }
}
