//! Builds the server from its settings, serves until told to stop, drains.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::Layer;
use tracing::{info, warn};

use crate::access::Access;
use crate::api::{
    AdminApi, CallLimits, ExposureApi, Front, HttpState, InsightApi, MeasureLayer, PolicyApi, ProfileApi, ProgrammeApi,
    ScoringApi, Waiter, router,
};
use crate::auth::{Peer, Session};
use crate::clock::{Clock, SimulatedClock, Stopwatch, SystemClock};
use crate::config::Settings;
use crate::credentials::CredentialError;
use crate::demo;
use crate::domain::{Body, MerchantId, Outcome, Timestamp};
use crate::engine::{
    ControlSettings, Engine, RecordFile, StartError, WriteError, WriteStatus, WriterSettings, due_day,
};
use crate::policy;
use crate::policy::MAX_BYTES;
use crate::policy_watch::{self, Begun, Found};
use crate::proto::admin_service_server::AdminServiceServer;
use crate::proto::exposure_service_server::ExposureServiceServer;
use crate::proto::insight_service_server::InsightServiceServer;
use crate::proto::policy_service_server::PolicyServiceServer;
use crate::proto::profile_service_server::ProfileServiceServer;
use crate::proto::programme_service_server::ProgrammeServiceServer;
use crate::proto::scoring_service_server::ScoringServiceServer;
use crate::proto::{ERROR_DETAILS_DESCRIPTOR_SET, FILE_DESCRIPTOR_SET};
use crate::store::AuditRetention;
use crate::telemetry;
use crate::transport;
use crate::wire::ScoreLimits;

/// Items of one chunk of the demo.
const DEMO_CHUNK: usize = 5_000;
/// Demo writes on their way at a time.
const DEMO_IN_FLIGHT: usize = 1_000;

/// Why the server did not start, or stopped with an error.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// An address cannot be listened on.
    #[error("listening on {address}: {cause}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why not.
        cause: std::io::Error,
    },
    /// The file of the decision log cannot be written.
    #[error("record {}: {cause}", path.display())]
    Record {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// Certificates, tokens or keys cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The engine did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A write at start failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The policy cannot be read or does not compile, and there is no earlier one.
    #[error("the policy has problems:\n{0}")]
    BadPolicy(String),
    /// The time to start at cannot be read.
    #[error("--now {text:?}: {cause}; write it as 2018-06-04T06:00:00+08:00")]
    BadNow {
        /// What was given.
        text: String,
        /// What is wrong with it.
        cause: String,
    },
    /// HTTP failed, or a thread could not be started.
    #[error("serving: {0}")]
    Io(#[from] std::io::Error),
    /// The metrics recorder cannot be installed.
    #[error("metrics: {0}")]
    Metrics(String),
    /// Reflection cannot be built.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A task of the start failed.
    #[error("starting: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// gRPC.
    pub grpc: SocketAddr,
    /// Metrics and health.
    pub http: SocketAddr,
}

/// Serves until `shutdown` is done, then drains. `ready` is told the addresses once requests are answered.
///
/// # Errors
/// When the server cannot start, or its transport fails.
pub async fn serve(
    settings: Settings,
    ready: impl FnOnce(Addresses),
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), BootError> {
    let started = Stopwatch::start();
    let metrics = metrics_handle()?;
    // Bound first: a port that is taken is known before a long recovery.
    let grpc = listen(settings.listen).await?;
    let http = listen(settings.http).await?;
    let addresses = Addresses { grpc: grpc.local_addr()?, http: http.local_addr()? };
    let record = open_record(&settings)?;
    let access = Access::open(&settings)?;

    let mut shutdown = Box::pin(shutdown);
    let start = async {
        let engine = Arc::new(open_engine(&settings).await?);
        let found = prepare(&engine, &settings).await?;
        Ok::<_, BootError>((engine, found))
    };
    let (engine, found) = tokio::select! {
        started = start => started?,
        () = &mut shutdown => {
            info!("stopped before it served");
            return Ok(());
        }
    };

    let (health, health_service) = tonic_health::server::health_reporter();
    let draining = Arc::new(AtomicBool::new(false));
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(follow_writes(health.clone(), engine.watch_write_status(), stopped.clone()));
    let watching = settings.policy.clone().filter(|_| settings.policy_watch_ms > 0).map(|folder| {
        let every = Duration::from_millis(settings.policy_watch_ms);
        tokio::spawn(policy_watch::watch(engine.clone(), folder, every, found, stopped.clone()))
    });
    let http_state = HttpState { engine: engine.clone(), metrics, draining: draining.clone() };
    // It goes on until everything is drained, so that `/readyz` can say so.
    let http = tokio::spawn(axum::serve(http, router(http_state)).into_future());

    let waiter = Waiter::new(engine.clone(), Duration::from_millis(settings.max_wait_ms));
    let limits = ScoreLimits { max_targets: settings.max_targets };
    let start_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let max = settings.max_request_bytes;
    let scoring = ScoringServiceServer::new(ScoringApi::new(engine.clone(), waiter.clone(), limits));
    let profiles = ProfileServiceServer::new(ProfileApi::new(engine.clone(), waiter.clone()));
    let exposures = ExposureServiceServer::new(ExposureApi::new(engine.clone()));
    let insight = InsightServiceServer::new(InsightApi::new(engine.clone(), waiter.clone()));
    let programmes = ProgrammeServiceServer::new(ProgrammeApi::new(engine.clone(), waiter));
    let policies = PolicyServiceServer::new(PolicyApi::new(engine.clone()));
    let admin = AdminServiceServer::new(AdminApi::new(engine.clone(), start_ms, access.gate.clone()));
    // Two whole texts are compared in one call.
    let policies = policies.max_decoding_message_size(max.max(2 * MAX_BYTES + (1 << 20)));
    let routes = Routes::new(profiles.max_decoding_message_size(max))
        .add_service(exposures.max_decoding_message_size(max))
        .add_service(insight.max_decoding_message_size(max))
        .add_service(policies)
        .add_service(programmes.max_decoding_message_size(max))
        .add_service(admin.max_decoding_message_size(max))
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    let front = Front::new(scoring.max_decoding_message_size(max), routes, bounds_of(&settings));
    let (measure, gate) = (MeasureLayer::default(), access.gate.clone());
    let connect = move |peer: Peer| {
        let address = peer.address;
        let session = gate.clone().map(|gate| Session::new(gate, peer));
        measure.layer(front.for_connection(address, session))
    };
    let server = transport::serve(grpc, connect, access.tls.clone(), limits_of(&settings), stopped.clone());
    let credentials = access.watch(settings.credentials_watch_ms, stopped.clone());

    let drain = Duration::from_millis(settings.drain_ms);
    let signal = {
        let health = health.clone();
        async move {
            shutdown.await;
            info!("draining");
            draining.store(true, Ordering::Relaxed);
            stop.send_replace(true);
            set_health(&health, false, false).await;
            tokio::time::sleep(drain).await;
            warn!("calls were still in flight when the time to drain was over");
        }
    };
    if settings.control_ms > 0 {
        let (turn_ms, resolve_ms, report_lag_ms) = (settings.control_ms, settings.resolve_ms, settings.report_lag_ms);
        engine.start_control(ControlSettings { turn_ms, resolve_ms, report_lag_ms })?;
    }
    if let Some(file) = record {
        engine.start_recording(file, settings.record_share)?;
    }
    set_health(&health, true, engine.write_status() == WriteStatus::Ok).await;
    ready(addresses);
    info!(grpc = %addresses.grpc, http = %addresses.http, start_ms, "serving");
    tokio::select! {
        () = server => {}
        () = signal => {}
    }
    http.abort();
    tokio::task::spawn_blocking(move || engine.shut_down()).await?;
    if let Some(watching) = watching {
        // It holds the data folder open until it has heard of the stop.
        watching.await?;
    }
    if let Some(credentials) = credentials {
        credentials.await?;
    }
    info!("stopped");
    Ok(())
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // Lets generic clients print the details of errors.
        .register_encoded_file_descriptor_set(ERROR_DETAILS_DESCRIPTOR_SET)
}

fn limits_of(settings: &Settings) -> transport::Limits {
    transport::Limits {
        max_concurrent_streams: settings.max_concurrent_streams,
        max_connections: settings.max_connections,
        max_handshakes: settings.max_handshakes,
        handshake: Duration::from_millis(settings.handshake_ms),
        stall: Duration::from_millis(settings.stall_ms),
    }
}

fn bounds_of(settings: &Settings) -> CallLimits {
    CallLimits {
        per_second: settings.max_calls_per_second,
        per_identity: settings.max_calls_per_identity,
        in_flight: settings.max_calls_in_flight,
        scores_waiting: settings.max_scores_waiting,
        // A Score may wait for its revision behind a request that came slowly.
        longest_score: Duration::from_millis(settings.stall_ms.saturating_add(settings.max_wait_ms)),
    }
}

/// The recorder is one per process: servers that share a process share it.
fn metrics_handle() -> Result<PrometheusHandle, BootError> {
    static HANDLE: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut handle = HANDLE.lock();
    if let Some(handle) = handle.as_ref() {
        return Ok(handle.clone());
    }
    let made = telemetry::start_metrics().map_err(|error| BootError::Metrics(error.to_string()))?;
    Ok(handle.insert(made).clone())
}

async fn listen(address: SocketAddr) -> Result<TcpListener, BootError> {
    TcpListener::bind(address).await.map_err(|cause| BootError::Listen { address, cause })
}

/// The file of the decision log, if there is to be one: what is wrong with it is said before anything is served.
fn open_record(settings: &Settings) -> Result<Option<RecordFile>, BootError> {
    let Some(path) = settings.record.clone() else { return Ok(None) };
    let opened = RecordFile::open(&path, settings.record_max_mb.saturating_mul(1 << 20));
    opened.map(Some).map_err(|cause| BootError::Record { path, cause })
}

async fn open_engine(settings: &Settings) -> Result<Engine, BootError> {
    let clock = clock(settings)?;
    let folder = settings.data.clone();
    let audit = AuditRetention {
        days: settings.audit_days,
        bulk_days: settings.audit_bulk_days,
        max_entries: settings.audit_max_entries,
    };
    let writer =
        WriterSettings { node: settings.node, log_retain: settings.log_retain, close_days: settings.close_days, audit };
    Ok(tokio::task::spawn_blocking(move || Engine::open(&folder, clock, writer)).await??)
}

fn clock(settings: &Settings) -> Result<Arc<dyn Clock>, BootError> {
    let Some(text) = &settings.now else { return Ok(Arc::new(SystemClock::default())) };
    let now: jiff::Timestamp = text
        .parse()
        .map_err(|cause: jiff::Error| BootError::BadNow { text: text.clone(), cause: cause.to_string() })?;
    Ok(Arc::new(SimulatedClock::new(Timestamp(now.as_millisecond()), settings.clock_rate)))
}

/// Policy, first closing, demo: what must be there before the first answer. Answers the policy that was read.
async fn prepare(engine: &Arc<Engine>, settings: &Settings) -> Result<Found, BootError> {
    let is_watched = settings.policy.is_some() && settings.policy_watch_ms > 0;
    // The campaigns ship with their historical dates; in the demo they are on.
    let carried =
        if settings.demo { demo::current(policy::embedded(), engine.clock().now().day()) } else { policy::embedded() };
    let begun = policy_watch::begin(engine, settings.policy.clone(), carried, is_watched).await?;
    let Begun { problems, found } = begun;
    // What serves already goes on serving: a bad edit must not keep a server from coming back.
    if !problems.is_empty() && engine.read(|state| state.meta().policy_revision == 0) {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        return Err(BootError::BadPolicy(lines.join("\n")));
    }
    engine.wait_for_first_policy().await?;
    policy_watch::look_at_serving(engine).await;
    let is_first = engine.read(|state| state.meta().facts_day.is_none());
    if is_first && settings.close_days {
        engine.wait_for_day(due_day(engine.clock().now())).await?;
    }
    let is_empty = engine.read(|state| state.merchant_count() == 0);
    if settings.demo && is_empty {
        load_demo(engine).await?;
    }
    Ok(found)
}

/// Loads the demo population: profiles and facts, then rights, then violations, which look at the facts.
async fn load_demo(engine: &Engine) -> Result<(), BootError> {
    let took = Stopwatch::start();
    info!("loading the demo population");
    let policy = engine.read(|state| state.policy().clone());
    let population = demo::population(engine.clock().now(), &|name| policy.counter(name));
    let merchants = population.profiles.len();

    let mut bodies = Vec::new();
    let chunk = |profiles: &[_], rows: &[_], sequence: usize| Body::ImportChunk {
        import_id: "demo".to_owned(),
        sequence: sequence as u64,
        profiles: profiles.to_vec(),
        rows: rows.to_vec(),
    };
    for profiles in population.profiles.chunks(DEMO_CHUNK) {
        bodies.push(chunk(profiles, &[], bodies.len() + 1));
    }
    for rows in population.rows.chunks(DEMO_CHUNK) {
        bodies.push(chunk(&[], rows, bodies.len() + 1));
    }
    let rights = population.rights.into_iter();
    bodies.extend(rights.map(|(merchant, rights): (MerchantId, _)| Body::SetRights { merchant, rights }));
    bodies.extend(population.violations.into_iter().map(Body::RecordViolation));
    bodies.extend(population.packages.into_iter().flat_map(demo::Package::commands));

    let mut bodies = bodies.into_iter();
    loop {
        let batch: Vec<Body> = bodies.by_ref().take(DEMO_IN_FLIGHT).collect();
        if batch.is_empty() {
            break;
        }
        let pending: Vec<_> = batch.into_iter().map(|body| engine.begin_write(None, body)).collect::<Result<_, _>>()?;
        for write in pending {
            if let Outcome::Rejected(rejection) = write.outcome().await?.outcome {
                warn!(%rejection, "a demo write was rejected");
            }
        }
    }
    info!(profiles = merchants, took_ms = took.elapsed().as_millis(), "loaded the demo population");
    Ok(())
}

async fn set_health(health: &HealthReporter, serves: bool, writes: bool) {
    let status = |ok| if ok { ServingStatus::Serving } else { ServingStatus::NotServing };
    health.set_service_status("", status(serves)).await;
    health.set_service_status("trustflow.v1.ScoringService", status(serves)).await;
    health.set_service_status("trustflow.v1.InsightService", status(serves)).await;
    health.set_service_status("trustflow.v1.AdminService", status(serves)).await;
    health.set_service_status("trustflow.v1.ExposureService", status(serves && writes)).await;
    health.set_service_status("trustflow.v1.ProfileService", status(serves && writes)).await;
    health.set_service_status("trustflow.v1.PolicyService", status(serves && writes)).await;
    health.set_service_status("trustflow.v1.ProgrammeService", status(serves && writes)).await;
}

/// Turns the health of the writing services with the writer's.
async fn follow_writes(
    health: HealthReporter,
    mut status: watch::Receiver<WriteStatus>,
    stopped: watch::Receiver<bool>,
) {
    while status.changed().await.is_ok() {
        let writes = *status.borrow_and_update() == WriteStatus::Ok;
        if *stopped.borrow() {
            return;
        }
        set_health(&health, true, writes).await;
    }
}
