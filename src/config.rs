//! Settings of the server: a TOML file, the environment (`TRUSTFLOW_*`) and flags, in rising order.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// How logs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Pretty,
}

/// The settings a server runs with. `serve --print-config` shows them as TOML, ready to be read back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Folder of the log and the store.
    pub data: PathBuf,
    /// Address of gRPC; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Address of metrics and health over HTTP; port 0 picks a free one.
    pub http: SocketAddr,
    /// Folder of the policy; none means the embedded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PathBuf>,
    /// How often the folder of the policy is read for changes, in milliseconds; 0 is never.
    pub policy_watch_ms: u64,
    /// Whether to start on the embedded demo population.
    pub demo: bool,
    /// Whether an address that is not loopback may be served without TLS and authentication.
    pub insecure: bool,
    /// Certificates of the server, PEM, its own first; turns TLS on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the server, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Authorities that sign the certificates of clients, PEM; then every client must show one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_ca: Option<PathBuf>,
    /// File of static tokens and of names in client certificates; turns authentication on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<PathBuf>,
    /// File of the public keys (JWKS) of the issuer of JWTs; turns authentication on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<PathBuf>,
    /// What `iss` of a JWT must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt_issuer: Option<String>,
    /// What `aud` of a JWT must be or hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt_audience: Option<String>,
    /// The claim of a JWT that holds roles.
    pub jwt_roles_claim: String,
    /// How often files of certificates, tokens and keys are read for changes, in milliseconds; 0 is at the start only.
    pub credentials_watch_ms: u64,
    /// Time for a TLS handshake, in milliseconds.
    pub handshake_ms: u64,
    /// TLS handshakes at a time; more wait.
    pub max_handshakes: usize,
    /// Connections at a time; more are closed at once.
    pub max_connections: usize,
    /// Simulated time to start at, RFC 3339; none means real time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// How many times as fast as real time the simulated clock runs; 0 stands still.
    pub clock_rate: f64,
    /// Threads that serve requests; 0 means one per core.
    pub worker_threads: usize,
    /// Most targets of one Score, 1 to 10000.
    pub max_targets: usize,
    /// Longest wait for `min_revision` when the caller sets no deadline, in milliseconds.
    pub max_wait_ms: u64,
    /// Largest request, in bytes.
    pub max_request_bytes: usize,
    /// Streams of one connection at a time.
    pub max_concurrent_streams: u32,
    /// Calls a second of everybody together; 0 sets no limit.
    pub max_calls_per_second: u32,
    /// Calls a second of each identity; 0 sets no limit.
    pub max_calls_per_identity: u32,
    /// Calls under way at a time, those of `ScoringService` left out.
    pub max_calls_in_flight: usize,
    /// Calls of `ScoringService` that wait at a time, for the rest of their request or for a revision.
    pub max_scores_waiting: usize,
    /// How long a client may leave answers unread, or a request of `ScoringService` unfinished, in milliseconds.
    pub stall_ms: u64,
    /// How long calls in flight may take after a stop was asked for, in milliseconds.
    pub drain_ms: u64,
    /// Revisions that stay in the log after their rows are durable.
    pub log_retain: u64,
    /// Whether days close by themselves at 06:00 Asia/Shanghai.
    pub close_days: bool,
    /// Days that entries of changes stay in the audit trail, 1 to 36500.
    pub audit_days: u32,
    /// Days that entries of bulk data stay in the audit trail, 1 to 36500.
    pub audit_bulk_days: u32,
    /// Entries of each kind that the audit trail keeps at most, at least 1000.
    pub audit_max_entries: u64,
    /// Time between two turns of control, in milliseconds; 0 leaves prices alone and begins no guarantees.
    pub control_ms: u64,
    /// Prices are solved again after this at the latest, in milliseconds.
    pub resolve_ms: u64,
    /// Usual time between an answer of Score and the report of its exposures, in milliseconds: budgets keep as much in
    /// hand as comes meanwhile.
    pub report_lag_ms: u64,
    /// File that a sample of decisions is appended to, as `backtest` reads it; none means that nothing is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<PathBuf>,
    /// Share of the decisions that is recorded, above 0 to 1.
    pub record_share: f64,
    /// Largest size of the file of decisions, in MiB: then recording stops.
    pub record_max_mb: u64,
    /// Id of this node in commands.
    pub node: u32,
    /// How logs look.
    pub log_format: LogFormat,
    /// What is logged, e.g. `info` or `trustflow=debug`.
    pub log: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: PathBuf::from("data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 50_051)),
            http: SocketAddr::from(([127, 0, 0, 1], 9_090)),
            policy: None,
            policy_watch_ms: 1_000,
            demo: false,
            insecure: false,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            tokens: None,
            jwks: None,
            jwt_issuer: None,
            jwt_audience: None,
            jwt_roles_claim: "roles".to_owned(),
            credentials_watch_ms: 1_000,
            handshake_ms: 5_000,
            max_handshakes: 256,
            max_connections: 10_000,
            now: None,
            clock_rate: 1.0,
            worker_threads: 0,
            max_targets: 1_000,
            max_wait_ms: 5_000,
            max_request_bytes: 4 * 1_024 * 1_024,
            max_concurrent_streams: 256,
            max_calls_per_second: 0,
            max_calls_per_identity: 0,
            max_calls_in_flight: 512,
            max_scores_waiting: 4_096,
            stall_ms: 30_000,
            drain_ms: 10_000,
            log_retain: 10_000,
            close_days: true,
            audit_days: 400,
            audit_bulk_days: 7,
            audit_max_entries: 5_000_000,
            control_ms: 50,
            resolve_ms: 3_000,
            report_lag_ms: 2_000,
            record: None,
            record_share: 0.01,
            record_max_mb: 1_024,
            node: 1,
            log_format: LogFormat::default(),
            log: "info,fjall=warn,lsm_tree=warn".to_owned(),
        }
    }
}

/// Flags of `serve`; each is also read from the environment, as `TRUSTFLOW_` and its name.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    /// Settings file (TOML).
    #[arg(long, env = "TRUSTFLOW_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the settings as TOML and stop.
    #[arg(long)]
    pub print_config: bool,
    /// Folder of the log and the store [default: data].
    #[arg(long, env = "TRUSTFLOW_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address of gRPC; port 0 picks a free one [default: 127.0.0.1:50051].
    #[arg(long, env = "TRUSTFLOW_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Address of metrics and health over HTTP [default: 127.0.0.1:9090].
    #[arg(long, env = "TRUSTFLOW_HTTP", value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Folder of the policy, instead of the embedded one.
    #[arg(long, env = "TRUSTFLOW_POLICY", value_name = "DIR")]
    pub policy: Option<PathBuf>,
    /// How often the folder of the policy is read for changes, ms; 0 is never [default: 1000].
    #[arg(long, env = "TRUSTFLOW_POLICY_WATCH_MS", value_name = "MS")]
    pub policy_watch_ms: Option<u64>,
    /// Start on the embedded demo population, in a folder of its own unless --data names one.
    #[arg(long, env = "TRUSTFLOW_DEMO", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub demo: Option<bool>,
    /// Serve an address that is not loopback without TLS and authentication.
    #[arg(long, env = "TRUSTFLOW_INSECURE", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub insecure: Option<bool>,
    /// Certificates of the server, PEM: turns TLS on.
    #[arg(long, env = "TRUSTFLOW_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the server, PEM.
    #[arg(long, env = "TRUSTFLOW_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Authorities of client certificates, PEM: every client must show one.
    #[arg(long, env = "TRUSTFLOW_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Static tokens and names of client certificates: turns authentication on.
    #[arg(long, env = "TRUSTFLOW_TOKENS", value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// Public keys of the issuer of JWTs: turns authentication on.
    #[arg(long, env = "TRUSTFLOW_JWKS", value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// What `iss` of a JWT must be.
    #[arg(long, env = "TRUSTFLOW_JWT_ISSUER", value_name = "TEXT")]
    pub jwt_issuer: Option<String>,
    /// What `aud` of a JWT must be or hold.
    #[arg(long, env = "TRUSTFLOW_JWT_AUDIENCE", value_name = "TEXT")]
    pub jwt_audience: Option<String>,
    /// The claim of a JWT that holds roles [default: roles].
    #[arg(long, env = "TRUSTFLOW_JWT_ROLES_CLAIM", value_name = "NAME")]
    pub jwt_roles_claim: Option<String>,
    /// How often these files are read for changes, ms; 0 is never [default: 1000].
    #[arg(long, env = "TRUSTFLOW_CREDENTIALS_WATCH_MS", value_name = "MS")]
    pub credentials_watch_ms: Option<u64>,
    /// Time for a TLS handshake, ms [default: 5000].
    #[arg(long, env = "TRUSTFLOW_HANDSHAKE_MS", value_name = "MS")]
    pub handshake_ms: Option<u64>,
    /// TLS handshakes at a time; more wait [default: 256].
    #[arg(long, env = "TRUSTFLOW_MAX_HANDSHAKES", value_name = "N")]
    pub max_handshakes: Option<usize>,
    /// Connections at a time; more are closed at once [default: 10000].
    #[arg(long, env = "TRUSTFLOW_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<usize>,
    /// Run on simulated time from this instant on (RFC 3339).
    #[arg(long, env = "TRUSTFLOW_NOW", value_name = "TIME")]
    pub now: Option<String>,
    /// How many times as fast as real time simulated time runs; 0 stands still [default: 1].
    #[arg(long, env = "TRUSTFLOW_CLOCK_RATE", value_name = "N")]
    pub clock_rate: Option<f64>,
    /// Threads that serve requests; 0 means one per core [default: 0].
    #[arg(long, env = "TRUSTFLOW_WORKER_THREADS", value_name = "N")]
    pub worker_threads: Option<usize>,
    /// Most targets of one Score [default: 1000].
    #[arg(long, env = "TRUSTFLOW_MAX_TARGETS", value_name = "N")]
    pub max_targets: Option<usize>,
    /// Longest wait for `min_revision` without a deadline, ms [default: 5000].
    #[arg(long, env = "TRUSTFLOW_MAX_WAIT_MS", value_name = "MS")]
    pub max_wait_ms: Option<u64>,
    /// Largest request, bytes [default: 4194304].
    #[arg(long, env = "TRUSTFLOW_MAX_REQUEST_BYTES", value_name = "BYTES")]
    pub max_request_bytes: Option<usize>,
    /// Streams of one connection at a time [default: 256].
    #[arg(long, env = "TRUSTFLOW_MAX_CONCURRENT_STREAMS", value_name = "N")]
    pub max_concurrent_streams: Option<u32>,
    /// Calls a second of everybody together; 0 sets no limit [default: 0].
    #[arg(long, env = "TRUSTFLOW_MAX_CALLS_PER_SECOND", value_name = "N")]
    pub max_calls_per_second: Option<u32>,
    /// Calls a second of each identity; 0 sets no limit [default: 0].
    #[arg(long, env = "TRUSTFLOW_MAX_CALLS_PER_IDENTITY", value_name = "N")]
    pub max_calls_per_identity: Option<u32>,
    /// Calls under way at a time, those of `ScoringService` left out [default: 512].
    #[arg(long, env = "TRUSTFLOW_MAX_CALLS_IN_FLIGHT", value_name = "N")]
    pub max_calls_in_flight: Option<usize>,
    /// Calls of `ScoringService` that wait at a time [default: 4096].
    #[arg(long, env = "TRUSTFLOW_MAX_SCORES_WAITING", value_name = "N")]
    pub max_scores_waiting: Option<usize>,
    /// How long a client may leave answers unread or a request unfinished, ms [default: 30000].
    #[arg(long, env = "TRUSTFLOW_STALL_MS", value_name = "MS")]
    pub stall_ms: Option<u64>,
    /// How long calls in flight may take after a stop was asked for, ms [default: 10000].
    #[arg(long, env = "TRUSTFLOW_DRAIN_MS", value_name = "MS")]
    pub drain_ms: Option<u64>,
    /// Revisions that stay in the log after their rows are durable [default: 10000].
    #[arg(long, env = "TRUSTFLOW_LOG_RETAIN", value_name = "N")]
    pub log_retain: Option<u64>,
    /// Close days by themselves at 06:00 Asia/Shanghai [default: true].
    #[arg(long, env = "TRUSTFLOW_CLOSE_DAYS", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub close_days: Option<bool>,
    /// Days that entries of changes stay in the audit trail, 1 to 36500 [default: 400].
    #[arg(long, env = "TRUSTFLOW_AUDIT_DAYS", value_name = "DAYS")]
    pub audit_days: Option<u32>,
    /// Days that entries of bulk data stay in the audit trail, 1 to 36500 [default: 7].
    #[arg(long, env = "TRUSTFLOW_AUDIT_BULK_DAYS", value_name = "DAYS")]
    pub audit_bulk_days: Option<u32>,
    /// Entries of each kind that the audit trail keeps at most, at least 1000 [default: 5000000].
    #[arg(long, env = "TRUSTFLOW_AUDIT_MAX_ENTRIES", value_name = "N")]
    pub audit_max_entries: Option<u64>,
    /// Time between two turns of control, ms; 0 leaves prices alone and begins no guarantees [default: 50].
    #[arg(long, env = "TRUSTFLOW_CONTROL_MS", value_name = "MS")]
    pub control_ms: Option<u64>,
    /// Prices are solved again after this at the latest, ms [default: 3000].
    #[arg(long, env = "TRUSTFLOW_RESOLVE_MS", value_name = "MS")]
    pub resolve_ms: Option<u64>,
    /// Usual time between an answer of Score and the report of its exposures, ms [default: 2000].
    #[arg(long, env = "TRUSTFLOW_REPORT_LAG_MS", value_name = "MS")]
    pub report_lag_ms: Option<u64>,
    /// Append a sample of decisions to a file, as `trustflow backtest --requests` reads it.
    #[arg(long, env = "TRUSTFLOW_RECORD", value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Share of the decisions that is recorded [default: 0.01].
    #[arg(long, env = "TRUSTFLOW_RECORD_SHARE", value_name = "SHARE")]
    pub record_share: Option<f64>,
    /// Largest size of the file of decisions, MiB: then recording stops [default: 1024].
    #[arg(long, env = "TRUSTFLOW_RECORD_MAX_MB", value_name = "MB")]
    pub record_max_mb: Option<u64>,
    /// Id of this node in commands [default: 1].
    #[arg(long, env = "TRUSTFLOW_NODE", value_name = "N")]
    pub node: Option<u32>,
    /// How logs look [default: pretty].
    #[arg(long, env = "TRUSTFLOW_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What is logged, e.g. `info` or `trustflow=debug` [default: `info,fjall=warn,lsm_tree=warn`].
    #[arg(long, env = "TRUSTFLOW_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("settings file {path}: {cause}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// The file is not right.
    #[error("settings file {path}: {cause}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong, with its line.
        cause: toml::de::Error,
    },
    /// A value is out of range, or two do not go together.
    #[error("{0}")]
    Invalid(String),
}

/// Lets flags and environment override settings of the file.
macro_rules! override_settings {
    ($settings:ident, $args:ident, $($field:ident),+ ; optional: $($optional:ident),+) => {
        $(if let Some(value) = &$args.$field { $settings.$field.clone_from(value); })+
        $(if $args.$optional.is_some() { $settings.$optional.clone_from(&$args.$optional); })+
    };
}

impl Settings {
    /// The settings of a file, the environment and flags.
    ///
    /// # Errors
    /// When the file cannot be read or some value cannot be used.
    pub fn load(args: &ServeArgs) -> Result<Self, ConfigError> {
        let mut settings = match &args.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        override_settings!(
            settings, args, data, listen, http, policy_watch_ms, demo, insecure, jwt_roles_claim, credentials_watch_ms,
            handshake_ms, max_handshakes, max_connections, clock_rate, worker_threads, max_targets, max_wait_ms,
            max_request_bytes, max_concurrent_streams, max_calls_per_second, max_calls_per_identity,
            max_calls_in_flight, max_scores_waiting, stall_ms, drain_ms, log_retain, close_days, audit_days,
            audit_bulk_days, audit_max_entries, control_ms, resolve_ms, report_lag_ms, record_share, record_max_mb, node,
            log_format, log ;
            optional: policy, now, record, tls_cert, tls_key, tls_client_ca, tokens, jwks, jwt_issuer, jwt_audience
        );
        if settings.demo && settings.data == Self::default().data {
            settings.data = PathBuf::from("data/demo");
        }
        settings.check()?;
        Ok(settings)
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
        toml::from_str(&text).map_err(|cause| ConfigError::Malformed { path: path.to_owned(), cause })
    }

    fn check(&self) -> Result<(), ConfigError> {
        let problem = if !(1..=10_000).contains(&self.max_targets) {
            Some("max_targets must be 1 to 10000".to_owned())
        } else if !(0.0..=1e6).contains(&self.clock_rate) {
            Some("clock_rate must be 0 to 1000000".to_owned())
        } else if !(self.record_share > 0.0 && self.record_share <= 1.0) {
            Some("record_share must be above 0, and 1 at most".to_owned())
        } else if self.record_max_mb == 0 {
            Some("record_max_mb must be at least 1".to_owned())
        } else if ![self.audit_days, self.audit_bulk_days].iter().all(|days| (1..=36_500).contains(days)) {
            Some("audit_days and audit_bulk_days must be 1 to 36500".to_owned())
        } else if self.audit_max_entries < 1_000 {
            Some("audit_max_entries must be at least 1000".to_owned())
        } else if self.max_concurrent_streams == 0 {
            Some("max_concurrent_streams must be at least 1".to_owned())
        } else if self.max_handshakes == 0 || self.max_connections == 0 || self.handshake_ms == 0 {
            Some("max_handshakes, max_connections and handshake_ms must be at least 1".to_owned())
        } else if self.max_calls_in_flight == 0 || self.max_scores_waiting == 0 || self.stall_ms == 0 {
            Some("max_calls_in_flight, max_scores_waiting and stall_ms must be at least 1".to_owned())
        } else {
            self.problem_of_access()
        };
        problem.map_or(Ok(()), |problem| Err(ConfigError::Invalid(problem)))
    }

    /// What does not go together in the settings of TLS and authentication.
    fn problem_of_access(&self) -> Option<String> {
        let problem = if self.tls_cert.is_some() != self.tls_key.is_some() {
            "tls_cert and tls_key go together: set both"
        } else if self.tls_client_ca.is_some() && !self.has_tls() {
            "tls_client_ca needs tls_cert and tls_key"
        } else if self.jwks.is_some() && (self.jwt_issuer.is_none() || self.jwt_audience.is_none()) {
            "jwks needs jwt_issuer and jwt_audience: a key alone does not say for whom a token was made"
        } else if self.jwks.is_none() && (self.jwt_issuer.is_some() || self.jwt_audience.is_some()) {
            "jwt_issuer and jwt_audience need jwks"
        } else if self.is_exposed() && !self.insecure {
            let missing = match (self.has_tls(), self.has_auth()) {
                (true, _) => "authentication (tokens or jwks)",
                (false, true) => "TLS (tls_cert and tls_key)",
                (false, false) => "TLS (tls_cert and tls_key) and authentication (tokens or jwks)",
            };
            return Some(format!(
                "{} is not a loopback address and lacks {missing}: anybody who reaches it could listen, read or write; \
                 set them, or say --insecure if that is meant",
                self.listen
            ));
        } else {
            return None;
        };
        Some(problem.to_owned())
    }

    /// Whether connections are secured.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls_cert.is_some() && self.tls_key.is_some()
    }

    /// Whether callers must say who they are.
    #[must_use]
    pub fn has_auth(&self) -> bool {
        self.tokens.is_some() || self.jwks.is_some()
    }

    /// Whether gRPC can be reached from elsewhere while it lacks TLS or authentication.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        !self.listen.ip().is_loopback() && (!self.has_tls() || !self.has_auth())
    }

    /// The settings as TOML.
    ///
    /// # Errors
    /// Never in practice: every setting has a TOML form.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }
}
