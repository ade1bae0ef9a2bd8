//! The way to the server, shared by all commands.

use std::error::Error;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};
use tonic::{Request, Status};

use super::error::CliError;

/// Which server, who calls, and in which form to print. Taken by every command.
#[derive(Clone, Debug, clap::Args)]
pub struct Target {
    /// Address of the server's gRPC port; https:// for TLS
    #[arg(long, global = true, env = "TRUSTFLOW_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub(super) server: String,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Token to call with; other users of the machine can see it here, and so rather by the environment or a file
    #[arg(long, global = true, env = "TRUSTFLOW_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<Token>,
    /// File of the token to call with; --token goes before it
    #[arg(long, global = true, env = "TRUSTFLOW_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Authorities that sign the server's certificate, PEM [default: those of the system]
    #[arg(long, global = true, env = "TRUSTFLOW_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Certificate to show to the server, PEM
    #[arg(long, global = true, env = "TRUSTFLOW_CERT", value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Private key of that certificate, PEM
    #[arg(long, global = true, env = "TRUSTFLOW_KEY", value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Send the token to another machine without TLS, where something else secures the way
    #[arg(long, global = true)]
    plaintext: bool,
}

/// A token, which does not show itself.
#[derive(Clone)]
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A connection, and the credential that goes with every call.
pub(crate) type Link = InterceptedService<Channel, Bearer>;

/// Adds the caller's token to calls, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

impl Target {
    /// A connection, checked by connecting. Some calls last (closing a day, imports), so no call has a time limit;
    /// a dead connection is noticed by its missing answers to pings.
    pub(super) async fn connect(&self) -> Result<Link, CliError> {
        let server = if self.server.contains("://") { self.server.clone() } else { format!("http://{}", self.server) };
        let server: Uri = server
            .parse()
            .map_err(|error| CliError::argument("--server", format!("{:?} is no URL: {error}", self.server)))?;
        let is_secured = server.scheme_str() == Some("https");
        let bearer = self.bearer(is_secured || self.plaintext || is_local(&server))?;
        let mut endpoint = Endpoint::from(server)
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20));
        if is_secured {
            let configured = endpoint.tls_config(self.tls()?);
            endpoint = configured.map_err(|error| CliError::argument("--ca, --cert, --key", deepest(&error)))?;
        } else if self.ca.is_some() || self.cert.is_some() {
            return Err(CliError::argument("--server", "--ca, --cert and --key need a server at https://"));
        }
        let channel = endpoint.connect().await.map_err(|error| {
            let problem = deepest(&error);
            CliError::Connect { server: self.server.clone(), problem }
        })?;
        Ok(InterceptedService::new(channel, bearer))
    }

    fn tls(&self) -> Result<ClientTlsConfig, CliError> {
        let mut tls = ClientTlsConfig::new();
        tls = match &self.ca {
            Some(ca) => tls.ca_certificate(Certificate::from_pem(read(ca)?)),
            None => tls.with_native_roots(),
        };
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
        }
        Ok(tls)
    }

    /// The token to call with, if the way to the server is fit for it.
    fn bearer(&self, is_fit: bool) -> Result<Bearer, CliError> {
        let token = match (&self.token, &self.token_file) {
            (Some(Token(token)), _) => token.clone(),
            (None, Some(file)) => String::from_utf8_lossy(&read(file)?).into_owned(),
            (None, None) => return Ok(Bearer::default()),
        };
        let header = format!("Bearer {}", token.trim()).parse::<MetadataValue<Ascii>>();
        let mut header = header.map_err(|_| CliError::argument("--token", "a token has no such characters"))?;
        header.set_sensitive(true);
        if !is_fit {
            let problem = "a token would go to another machine in the clear; name the server by https://, or say \
                           --plaintext if something else secures the way";
            return Err(CliError::argument("--server", problem));
        }
        Ok(Bearer(Some(header)))
    }
}

/// Whether a server is on this machine.
fn is_local(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(file).map_err(|source| CliError::Read { file: file.display().to_string(), source })
}

/// The last cause, which says what happened; the ones before only say that something did.
fn deepest(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
