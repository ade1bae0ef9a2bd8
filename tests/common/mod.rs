//! What the end-to-end tests stand on: a server in this process, or the real program, on free ports and a folder that
//! goes away; clients of every service; and the words to say what is sent and what is expected.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::indexing_slicing,
    reason = "every test file takes the part it needs; a wrong index fails the test, as it should"
)]

pub mod access;
pub mod calls;
pub mod process;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use prost_types::Timestamp;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::{RpcStatusExt, StatusExt};
use trustflow::boot::{self, Addresses, BootError};
use trustflow::config::Settings;
use trustflow::proto::ItemStatus;
use trustflow::proto::admin_service_client::AdminServiceClient;
use trustflow::proto::insight_service_client::InsightServiceClient;
use trustflow::proto::policy_service_client::PolicyServiceClient;
use trustflow::proto::profile_service_client::ProfileServiceClient;
use trustflow::proto::scoring_service_client::ScoringServiceClient;

/// Nothing in these tests takes this long, unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A Wednesday, an hour after the day before was closed.
pub const NOW: &str = "2023-03-01T07:00:00+08:00";

/// Clients of every service over one connection. Every call has a time limit.
#[derive(Clone)]
pub struct Client {
    pub channel: Channel,
    pub scoring: ScoringServiceClient<Channel>,
    pub profiles: ProfileServiceClient<Channel>,
    pub insight: InsightServiceClient<Channel>,
    pub policies: PolicyServiceClient<Channel>,
    pub admin: AdminServiceClient<Channel>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address").timeout(PATIENCE);
        let channel = endpoint.connect().await.expect("a connection");
        Self {
            scoring: ScoringServiceClient::new(channel.clone()),
            profiles: ProfileServiceClient::new(channel.clone()),
            insight: InsightServiceClient::new(channel.clone()),
            policies: PolicyServiceClient::new(channel.clone()).max_decoding_message_size(16 << 20),
            admin: AdminServiceClient::new(channel.clone()),
            channel,
        }
    }
}

/// The server in this process, on simulated time that stands still until a test moves it.
pub struct Server {
    pub client: Client,
    pub addresses: Addresses,
    settings: Settings,
    folder: TempDir,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), BootError>>,
}

/// Settings on free ports and simulated time.
pub fn settings(data: PathBuf, now: &str) -> Settings {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    Settings {
        data,
        listen: anywhere,
        http: anywhere,
        now: Some(now.to_owned()),
        clock_rate: 0.0,
        max_wait_ms: 2_000,
        // Tests of other things count revisions and compare weights to the last bit.
        control_ms: 0,
        ..Settings::default()
    }
}

impl Server {
    /// An empty server at [`NOW`].
    pub async fn start() -> Self {
        Self::start_at(NOW).await
    }

    /// An empty server at a time.
    pub async fn start_at(now: &str) -> Self {
        Self::start_with(now, |_| {}).await
    }

    /// An empty server at a time, with some settings changed.
    pub async fn start_with(now: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path().join("data"), now);
        change(&mut settings);
        Self::serve(settings, folder).await.expect("the server starts")
    }

    async fn serve(settings: Settings, folder: TempDir) -> Result<Self, BootError> {
        let (is_ready, ready) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            // A stop that is dropped is a stop, too.
            let _ = stopped.await;
        };
        let announce = move |addresses| {
            // Who waited for it may have given up.
            let _ = is_ready.send(addresses);
        };
        let served = tokio::spawn(boot::serve(settings.clone(), announce, shutdown));
        match tokio::time::timeout(PATIENCE, ready).await.expect("ready in time") {
            Ok(addresses) => {
                let client = Client::connect(addresses.grpc).await;
                Ok(Self { client, addresses, settings, folder, stop, served })
            }
            Err(_) => Err(served.await.expect("no panic").expect_err("it ended without being ready")),
        }
    }

    /// Stops it; the folder stays.
    pub async fn stop(self) -> Stopped {
        let Self { settings, folder, stop, served, client, .. } = self;
        drop(client);
        let _ = stop.send(());
        let ended = tokio::time::timeout(PATIENCE, served).await.expect("stops in time");
        ended.expect("no panic").expect("a clean stop");
        Stopped { settings, folder }
    }

    /// Stops it and starts it again on the same folder, at the time it had come to.
    pub async fn restart(self) -> Self {
        let now = self.client.now().await;
        self.stop().await.start_at(&now).await
    }
}

/// The folder of a server that was stopped.
pub struct Stopped {
    pub settings: Settings,
    folder: TempDir,
}

impl Stopped {
    /// Starts on the same folder again.
    pub async fn start_at(self, now: &str) -> Server {
        let settings = Settings { now: Some(now.to_owned()), ..self.settings };
        Server::serve(settings, self.folder).await.expect("the server starts again")
    }
}

/// An instant, as in `2023-02-12T23:59:59.999+08:00`.
pub fn instant(text: &str) -> Timestamp {
    let time: jiff::Timestamp = text.parse().expect(text);
    Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

/// The number of a date: days since 1970-01-01.
pub fn day_number(date: &str) -> i32 {
    let date: jiff::civil::Date = date.parse().expect(date);
    date.since(jiff::civil::date(1970, 1, 1)).expect("a span").get_days()
}

/// The date some days later.
pub fn plus(date: &str, days: i32) -> String {
    let date: jiff::civil::Date = date.parse().expect(date);
    date.checked_add(jiff::Span::new().days(days)).expect("a date").to_string()
}

/// A refusal as a caller sees it: the code, the reason, the fields named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub reason: String,
    pub fields: Vec<String>,
    pub message: String,
}

/// The refusal of a whole call.
pub fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> Refusal {
    let status = answer.expect_err("refused");
    let details = status.get_error_details();
    Refusal {
        code: status.code(),
        reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
        fields: fields(details.bad_request()),
        message: status.message().to_owned(),
    }
}

/// The refusal of one item of a batch; code OK when it was taken.
pub fn item_refusal(item: &ItemStatus) -> Refusal {
    rpc_refusal(item.status.as_ref().expect("every item has a status"))
}

/// The refusal that a `google.rpc.Status` in an answer holds.
pub fn rpc_refusal(status: &tonic_types::Status) -> Refusal {
    let details = status.get_error_details();
    Refusal {
        code: Code::from_i32(status.code),
        reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
        fields: fields(details.bad_request()),
        message: status.message.clone(),
    }
}

fn fields(request: Option<&tonic_types::BadRequest>) -> Vec<String> {
    request.map(|r| r.field_violations.iter().map(|v| v.field.clone()).collect()).unwrap_or_default()
}

impl Refusal {
    /// Fails unless it is this one, naming this field.
    #[track_caller]
    pub fn is(&self, code: Code, reason: &str, field: &str) {
        assert_eq!((self.code, self.reason.as_str()), (code, reason), "{self:?}");
        assert!(self.fields.iter().any(|named| named == field), "{field} is not named: {self:?}");
    }

    /// Fails unless it is this one. For refusals that are not about a field.
    #[track_caller]
    pub fn is_plain(&self, code: Code, reason: &str) {
        assert_eq!((self.code, self.reason.as_str()), (code, reason), "{self:?}");
    }
}

/// The codes of a batch's items, in order.
pub fn codes(items: &[ItemStatus]) -> Vec<Code> {
    for (position, item) in items.iter().enumerate() {
        assert_eq!(usize::try_from(item.index), Ok(position), "items are answered in request order");
    }
    items.iter().map(|item| item_refusal(item).code).collect()
}
