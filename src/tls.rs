//! TLS of the server: certificates and keys from PEM, and whom a client's certificate names.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection};
use webpki::EndEntityCert;

/// What connections are secured with. A change makes a new one: connections that are open keep theirs.
pub type Tls = Arc<ServerConfig>;

/// Makes it of PEM: the chain of certificates, its private key and, where clients are to show certificates, the
/// authorities that sign these.
///
/// # Errors
/// What is wrong, without anything of the key.
pub fn tls(chain: &[u8], key: &[u8], client_authorities: Option<&[u8]>) -> Result<Tls, String> {
    let chain = certificates(chain).map_err(|problem| format!("tls_cert: {problem}"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "tls_key: no private key in PEM")?;
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match client_authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(authorities).map_err(|problem| format!("tls_client_ca: {problem}"))? {
                roots.add(authority).map_err(|error| format!("tls_client_ca: {error}"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| format!("tls_client_ca: {error}"))?)
        }
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|error| format!("tls_cert and tls_key do not go together: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    if client_authorities.is_some() {
        // A resumed session would bring its certificate along unchecked, expired or not.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

/// When the first certificate of a chain in PEM ends, in seconds since 1970: then clients refuse the chain. None if that
/// cannot be told.
#[must_use]
pub fn end_of_chain(chain: &[u8]) -> Option<i64> {
    let end = |der: &CertificateDer| {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        Some(certificate.validity().not_after.timestamp())
    };
    let ends: Option<Vec<i64>> = certificates(chain).ok()?.iter().map(end).collect();
    ends?.into_iter().min()
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|_| "a certificate in it is no PEM")?;
    if found.is_empty() { Err("no certificate in PEM".to_owned()) } else { Ok(found) }
}

/// DNS and URI names of the certificate that the client of a connection proved to have.
#[must_use]
pub fn client_names(connection: &ServerConnection) -> Vec<String> {
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    let Some(certificate) = certificate.and_then(|der| EndEntityCert::try_from(der).ok()) else { return Vec::new() };
    certificate.valid_dns_names().chain(certificate.valid_uri_names()).map(str::to_owned).collect()
}
