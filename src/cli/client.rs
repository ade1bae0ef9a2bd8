//! The way to the server, shared by all commands.

use std::error::Error;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use super::error::CliError;

/// Which server, and in which form to print. Taken by every command.
#[derive(Clone, Debug, clap::Args)]
pub struct Target {
    /// Address of the server's gRPC port
    #[arg(long, global = true, env = "TRUSTFLOW_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub(super) server: String,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Target {
    /// A connection, checked by connecting. Some calls last (closing a day, imports), so no call has a time limit;
    /// a dead connection is noticed by its missing answers to pings.
    pub(super) async fn connect(&self) -> Result<Channel, CliError> {
        let server = if self.server.contains("://") { self.server.clone() } else { format!("http://{}", self.server) };
        let endpoint = Endpoint::from_shared(server)
            .map_err(|error| CliError::argument("--server", format!("{:?} is no URL: {error}", self.server)))?
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20));
        endpoint.connect().await.map_err(|error| {
            let problem = deepest(&error);
            CliError::Connect { server: self.server.clone(), problem }
        })
    }
}

/// The last cause, which says what happened; the ones before only say that something did.
fn deepest(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
