//! Credentials for tests: static tokens, an issuer of JWTs, authorities of certificates; and calls of any method.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use prost_types::FileDescriptorSet;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;
use trustflow::clock::{Clock, SystemClock};

use super::{PATIENCE, Refusal, refusal};

pub const ROLES: [&str; 5] = ["scorer", "ingester", "viewer", "operator", "admin"];
pub const ISSUER: &str = "https://issuer.test";
pub const AUDIENCE: &str = "trustflow-test";

/// Seconds since 1970, some seconds from now.
pub fn seconds_from_now(seconds: i64) -> i64 {
    SystemClock::default().now().0 / 1_000 + seconds
}

/// An entry of a tokens file.
pub fn token_entry(name: &str, token: &str, roles: &[&str], rest: &str) -> String {
    let hash = format!("{:?}", ring::digest::digest(&ring::digest::SHA256, token.as_bytes()));
    let hash = hash.trim_start_matches("SHA256:");
    format!("[[token]]\nname = {name:?}\nsha256 = \"{hash}\"\nroles = {roles:?}\n{rest}\n")
}

/// An issuer of JWTs with one key.
pub struct Issuer {
    id: String,
    key: EcdsaKeyPair,
}

impl Issuer {
    pub fn new(id: &str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let bytes = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        Self { id: id.to_owned(), key: EcdsaKeyPair::from_pkcs8(algorithm, bytes.as_ref(), &random).expect("a key") }
    }

    /// Its public key as a JWK.
    pub fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": x, "y": y})
    }

    /// A token of these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({"alg": "ES256", "typ": "JWT", "kid": self.id}), claims)
    }

    /// The same under a header of one's own.
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The text of a JWKS file.
pub fn jwks(issuers: &[&Issuer]) -> String {
    json!({"keys": issuers.iter().map(|issuer| issuer.jwk()).collect::<Vec<_>>()}).to_string()
}

/// Claims that are right for an hour.
pub fn claims(subject: &str, roles: &[&str]) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": seconds_from_now(3_600), "roles": roles})
}

/// Claims with one changed or, by null, left out.
pub fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims("ann", &["viewer"]);
    let object = claims.as_object_mut().expect("an object");
    if value.is_null() {
        object.remove(name)
    } else {
        object.insert(name.to_owned(), value)
    };
    claims
}

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate of a DNS name, or of a URI.
    pub fn issue(&self, name: &str) -> Issued {
        self.issue_until(name, 2_040)
    }

    /// The same, valid until a year begins.
    pub fn issue_until(&self, name: &str, year: i32) -> Issued {
        let mut params = CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let text = name.try_into().expect("ASCII");
        params.subject_alt_names = vec![if name.contains("://") { SanType::URI(text) } else { SanType::DnsName(text) }];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A file in a folder.
pub fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

/// A connection over TLS to `localhost`, whose certificate this authority signed.
pub async fn connect_tls(
    port: u16,
    authority: &Authority,
    own: Option<&Issued>,
) -> Result<Channel, tonic::transport::Error> {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()));
    if let Some(own) = own {
        tls = tls.identity(Identity::from_pem(&own.certificate, &own.key));
    }
    let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).expect("an address").timeout(PATIENCE);
    endpoint.tls_config(tls)?.connect().await
}

/// Every method of the API, as a path, with the name of its service.
pub fn methods() -> Vec<(String, String)> {
    let files = FileDescriptorSet::decode(trustflow::proto::FILE_DESCRIPTOR_SET).expect("a descriptor");
    let mut found = Vec::new();
    for file in &files.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                found.push((path, service.name().to_owned()));
            }
        }
    }
    found
}

/// Calls any method with an empty message, and with some authorization headers.
pub async fn call(channel: &Channel, path: &str, authorization: &[&str]) -> Refusal {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.expect("a connection");
    let mut request = Request::new(tokio_stream::iter([()]));
    request.set_timeout(PATIENCE);
    for header in authorization {
        request.metadata_mut().append("authorization", header.parse().expect("ASCII"));
    }
    let path = path.parse().expect("a path");
    // One message looks the same in a call of one and in a stream of them, and the first answer says enough.
    let answered = match grpc.streaming(request, path, ProstCodec::<(), ()>::default()).await {
        Ok(answers) => answers.into_inner().message().await,
        Err(status) => Err(status),
    };
    match answered {
        Ok(_) => Refusal { code: Code::Ok, reason: String::new(), fields: Vec::new(), message: String::new() },
        Err(status) => refusal(Err::<(), _>(status)),
    }
}

/// The same with a bearer token.
pub async fn call_as(channel: &Channel, path: &str, token: &str) -> Refusal {
    call(channel, path, &[&format!("Bearer {token}")]).await
}

/// The series of a metric whose names begin so, by label text.
pub fn series(metrics: &str, name: &str) -> BTreeMap<String, f64> {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
    lines.map(|(labels, value)| (labels.to_owned(), value.parse().expect("a number"))).collect()
}

/// Tries until it holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    unreachable!("{what} did not come about");
}
