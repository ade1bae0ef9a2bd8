//! What everyone who takes part in one life of the server shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tonic::transport::Channel;
use trustflow::proto::admin_service_client::AdminServiceClient;
use trustflow::proto::exposure_service_client::ExposureServiceClient;
use trustflow::proto::profile_service_client::ProfileServiceClient;
use trustflow::proto::programme_service_client::ProgrammeServiceClient;
use trustflow::proto::scoring_service_client::ScoringServiceClient;

use super::Options;
use super::books::Books;
use super::governance::Agenda;
use super::population::Population;
use super::reports::Outbox;
use super::server::{Server, SimulatedTime};

/// What outlives the server.
#[derive(Debug)]
pub(crate) struct Lasting {
    /// The books.
    pub(crate) books: Mutex<Books>,
    /// Reports to be sent.
    pub(crate) outbox: Mutex<Outbox>,
    /// Who there is.
    pub(crate) population: Mutex<Arc<Population>>,
    /// What operations still have to do.
    pub(crate) agenda: Mutex<Agenda>,
}

/// One life of the server.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// What the run was asked to do.
    pub(crate) options: Arc<Options>,
    /// The clock of this life.
    pub(crate) time: SimulatedTime,
    /// Lives before this one.
    pub(crate) life: u64,
    pub(crate) lasting: Arc<Lasting>,
    channel: Channel,
    over: Arc<AtomicBool>,
    killed: Arc<AtomicBool>,
}

impl World {
    /// Another life.
    pub(crate) fn new(options: &Arc<Options>, lasting: &Arc<Lasting>, server: &Server, life: u64) -> Self {
        Self {
            options: Arc::clone(options),
            time: server.time,
            life,
            lasting: Arc::clone(lasting),
            channel: server.channel.clone(),
            over: Arc::default(),
            killed: Arc::default(),
        }
    }

    /// Everyone is to finish what they are at.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Calls may fail from now on.
    pub(crate) fn begin_kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    /// Whether everyone is to finish.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Whether a call that fails does so because the server was killed.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// Milliseconds since the run began.
    pub(crate) fn now_ms(&self) -> u64 {
        self.books().now_ms()
    }

    /// The books.
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.lasting.books.lock()
    }

    /// Reports to be sent.
    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.lasting.outbox.lock()
    }

    /// What operations still have to do.
    pub(crate) fn agenda(&self) -> MutexGuard<'_, Agenda> {
        self.lasting.agenda.lock()
    }

    /// Who there is now.
    pub(crate) fn population(&self) -> Arc<Population> {
        Arc::clone(&self.lasting.population.lock())
    }

    /// Changes who there is.
    pub(crate) fn with_population<T>(&self, change: impl FnOnce(&mut Population) -> T) -> T {
        change(Arc::make_mut(&mut self.lasting.population.lock()))
    }

    /// The service.
    pub(crate) fn scoring(&self) -> ScoringServiceClient<Channel> {
        ScoringServiceClient::new(self.channel.clone())
    }

    /// The service.
    pub(crate) fn exposures(&self) -> ExposureServiceClient<Channel> {
        ExposureServiceClient::new(self.channel.clone())
    }

    /// The service.
    pub(crate) fn profiles(&self) -> ProfileServiceClient<Channel> {
        ProfileServiceClient::new(self.channel.clone())
    }

    /// The service.
    pub(crate) fn programmes(&self) -> ProgrammeServiceClient<Channel> {
        ProgrammeServiceClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    /// The service.
    pub(crate) fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }
}
