//! Metrics of who comes in: connections, handshakes, credentials.

use metrics::{Counter, Gauge, counter, gauge};

/// Counts the calls of an identity. Identities are those of the tokens file; all JWTs are one.
pub fn calls_of(identity: &str) -> Counter {
    counter!("trustflow_auth_calls_total", "identity" => identity.to_owned())
}

/// Counts a call that was denied.
pub fn call_denied(reason: &'static str) {
    counter!("trustflow_auth_denied_total", "reason" => reason).increment(1);
}

/// Counts a call that was refused because there are too many. `identity` is of the same set as in [`calls_of`], and
/// `none` where nobody is asked.
pub fn call_refused(reason: &'static str, identity: &str) {
    counter!("trustflow_calls_refused_total", "reason" => reason, "identity" => identity.to_owned()).increment(1);
}

/// What became of the files that credentials and certificates are read from.
pub struct CredentialFileMetrics {
    taken: Counter,
    refused: Counter,
    has_problem: Gauge,
}

impl CredentialFileMetrics {
    /// Of one kind of file: `tls`, `tokens` or `jwks`.
    #[must_use]
    pub fn of(kind: &'static str) -> Self {
        Self {
            taken: counter!("trustflow_credential_reloads_total", "file" => kind, "outcome" => "taken"),
            refused: counter!("trustflow_credential_reloads_total", "file" => kind, "outcome" => "refused"),
            has_problem: gauge!("trustflow_credential_problem", "file" => kind),
        }
    }

    /// Counts a change that was taken.
    pub fn taken(&self) {
        self.taken.increment(1);
        self.has_problem.set(0.0);
    }

    /// Counts a change that was refused: what was there before stays.
    pub fn refused(&self) {
        self.refused.increment(1);
        self.has_problem.set(1.0);
    }

    /// Says that what is in the files is what serves.
    pub fn is_well(&self) {
        self.has_problem.set(0.0);
    }
}

/// Says when the chain of certificates that new connections get ends, in seconds since 1970; 0 where that cannot be told,
/// so that nobody takes it for good.
#[expect(clippy::cast_precision_loss, reason = "seconds of this age of the world are exact")]
pub fn certificate_ends(end: Option<i64>) {
    gauge!("trustflow_tls_certificate_expiry_timestamp_seconds").set(end.unwrap_or(0) as f64);
}

/// Connections and their handshakes.
#[derive(Clone)]
pub struct ConnectionMetrics {
    open: Gauge,
    refused: Counter,
    shaken: [Counter; 3],
}

impl Default for ConnectionMetrics {
    fn default() -> Self {
        let outcomes = ["ok", "failed", "timeout"];
        Self {
            open: gauge!("trustflow_connections"),
            refused: counter!("trustflow_connections_refused_total"),
            shaken: outcomes.map(|outcome| counter!("trustflow_tls_handshakes_total", "outcome" => outcome)),
        }
    }
}

impl ConnectionMetrics {
    /// Says how many connections there are.
    #[expect(clippy::cast_precision_loss, reason = "connections are few")]
    pub fn open(&self, count: usize) {
        self.open.set(count as f64);
    }

    /// Counts a connection that was closed at once, since there are too many.
    pub fn refused(&self) {
        self.refused.increment(1);
    }

    /// Counts a handshake: done, failed, or not done in time.
    pub fn shaken(&self, outcome: Handshake) {
        let [ok, failed, timeout] = &self.shaken;
        match outcome {
            Handshake::Done => ok,
            Handshake::Failed => failed,
            Handshake::TimedOut => timeout,
        }
        .increment(1);
    }
}

/// How a handshake ended.
#[derive(Clone, Copy, Debug)]
pub enum Handshake {
    /// The connection is secured.
    Done,
    /// The two sides did not agree, or one gave up.
    Failed,
    /// It took too long.
    TimedOut,
}
