//! Who reaches the server, as the settings say: TLS, the gate, and the files that both are made of.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::auth::{Gate, JwtSettings};
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::credentials::{self, CredentialError, CredentialFiles};
use crate::telemetry::certificate_ends;
use crate::tls::{Tls, end_of_chain, tls};

/// What stands between a caller and the services.
pub struct Access {
    /// Secures connections, if they are to be.
    pub tls: Option<watch::Receiver<Option<Tls>>>,
    /// Asks callers who they are, if they are to be asked.
    pub gate: Option<Arc<Gate>>,
    files: Vec<CredentialFiles>,
}

impl Access {
    /// Reads certificates, tokens and keys.
    ///
    /// # Errors
    /// When something in them cannot be used: a server that was told to ask must not start without asking.
    pub fn open(settings: &Settings) -> Result<Self, CredentialError> {
        let mut files = Vec::new();
        let tls = open_tls(settings, &mut files)?;
        let gate = open_gate(settings, &mut files)?;
        if settings.is_exposed() {
            warn!(
                address = %settings.listen, tls = tls.is_some(), authentication = gate.is_some(),
                "INSECURE: served to other machines without both TLS and authentication, as --insecure says"
            );
        } else if gate.is_none() {
            info!("no authentication: everybody on this machine may call everything");
        }
        if !settings.http.ip().is_loopback() {
            warn!(address = %settings.http, "metrics are served to other machines, to everybody who asks");
        }
        Ok(Self { tls, gate, files })
    }

    /// Has the files watched, if that is wanted and there are any.
    #[must_use]
    pub fn watch(self, every_ms: u64, stopped: watch::Receiver<bool>) -> Option<JoinHandle<()>> {
        let is_watched = every_ms > 0 && !self.files.is_empty();
        is_watched.then(|| tokio::spawn(credentials::watch(self.files, Duration::from_millis(every_ms), stopped)))
    }
}

fn open_tls(
    settings: &Settings,
    files: &mut Vec<CredentialFiles>,
) -> Result<Option<watch::Receiver<Option<Tls>>>, CredentialError> {
    let (Some(chain), Some(key)) = (&settings.tls_cert, &settings.tls_key) else { return Ok(None) };
    let paths = [chain, key].into_iter().chain(&settings.tls_client_ca).cloned().collect();
    let current = watch::Sender::new(None);
    let taken = current.clone();
    files.push(CredentialFiles::begin("tls", paths, move |read| {
        let [chain, key, authorities @ ..] = read else { return Err("files are missing".to_owned()) };
        let tls = tls(chain, key, authorities.first().map(Vec::as_slice))?;
        // Said before they serve: whoever is shown the new chain finds its end in the metrics.
        certificate_ends(end_of_chain(chain));
        taken.send_replace(Some(tls));
        Ok("certificates that go with the key".to_owned())
    })?);
    Ok(Some(current.subscribe()))
}

fn open_gate(settings: &Settings, files: &mut Vec<CredentialFiles>) -> Result<Option<Arc<Gate>>, CredentialError> {
    if !settings.has_auth() {
        return Ok(None);
    }
    let jwt = settings.jwks.is_some().then(|| JwtSettings {
        issuer: settings.jwt_issuer.clone().unwrap_or_default(),
        audience: settings.jwt_audience.clone().unwrap_or_default(),
        roles_claim: settings.jwt_roles_claim.clone(),
    });
    // Real time, also where the state runs on simulated time.
    let gate = Arc::new(Gate::new(jwt, Arc::new(SystemClock::default())));
    if let Some(tokens) = &settings.tokens {
        let gate = gate.clone();
        files.push(CredentialFiles::begin("tokens", vec![tokens.clone()], move |read| gate.take_tokens(text(read)?))?);
    }
    if let Some(jwks) = &settings.jwks {
        let gate = gate.clone();
        files.push(CredentialFiles::begin("jwks", vec![jwks.clone()], move |read| gate.take_keys(text(read)?))?);
    }
    Ok(Some(gate))
}

/// The text of the only file.
fn text(read: &[Vec<u8>]) -> Result<&str, String> {
    let bytes = read.first().map(Vec::as_slice).unwrap_or_default();
    std::str::from_utf8(bytes).map_err(|_| "no text in UTF-8".to_owned())
}
