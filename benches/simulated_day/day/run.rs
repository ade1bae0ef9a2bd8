//! The run from the first import to the verdict.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::task::JoinSet;
use trustflow::clock::Stopwatch;
use trustflow::domain::Timestamp;
use trustflow::proto::ProgrammeView;

use super::books::Books;
use super::governance::{Agenda, operate};
use super::load::load;
use super::population::Population;
use super::reports::{Outbox, send, send_rest, send_unanswered};
use super::server::{Server, Site};
use super::traffic::recommend;
use super::verdict::{Verdict, grouped};
use super::world::{Lasting, World};
use super::{Options, Outcome, audit, policy, replay};

/// Recommenders that ask at the same time.
const RECOMMENDERS: u64 = 4;
/// Every so many kills everyone stops before, so that the state of the killed is known.
const QUIET_KILL: u64 = 3;
/// After the last report: by then every reservation has timed out.
const TIMEOUT_MS: i64 = 12 * 60_000;
/// What a crash left undecided is kept for so long, after which nothing may be reserved.
const WINDOW_MS: i64 = 8 * 86_400_000;
const LOOK: Duration = Duration::from_millis(50);

struct Run {
    options: Arc<Options>,
    lasting: Arc<Lasting>,
    site: Site,
    watch: Stopwatch,
    starts: Vec<Duration>,
    kills: u64,
    hashes: u64,
    resident_mib: u64,
}

/// Lives through the days; the error is what kept it from going on.
pub(crate) async fn run(options: &Options) -> Outcome<Verdict> {
    let folder = TempDir::new()?;
    let path = if options.keep { folder.keep() } else { folder.path().to_path_buf() };
    if options.keep {
        eprintln!("everything stays in {}", path.display());
    }
    let policy = options.tight.map(|_| path.join("policy"));
    if let (Some(to), Some(divisor)) = (&policy, options.tight) {
        policy::tighten(to, divisor)?;
    }
    let shipped = policy::shipped();
    let books = Books::new(policy::read(policy.as_ref().unwrap_or(&shipped))?);
    let lasting = Lasting {
        books: Mutex::new(books),
        outbox: Mutex::new(Outbox::new(options)),
        population: Mutex::new(Arc::new(Population::new(options))),
        agenda: Mutex::new(Agenda::new(options)),
    };
    let site = Site { data: path.join("data"), policy, log: path.join("server.log"), args: Vec::new() };
    let mut run = Run {
        options: Arc::new(options.clone()),
        lasting: Arc::new(lasting),
        site,
        watch: Stopwatch::start(),
        starts: Vec::new(),
        kills: 0,
        hashes: 0,
        resident_mib: 0,
    };
    let now = run.load().await?;
    run.watch = Stopwatch::start();
    let verdict = run.live(now).await;
    verdict.map_err(|error| {
        format!("{error}; the end of the server's log:\n{}", super::server::tail(&run.site.log)).into()
    })
}

impl Run {
    /// Brings the population in while the clock stands still; the first kill comes right after.
    async fn load(&mut self) -> Outcome<Timestamp> {
        let mut server = Server::start(&self.site, self.options.from, 0.0).await?;
        let population = Arc::clone(&self.lasting.population.lock());
        let watch = Stopwatch::start();
        load(&server.channel, &population, self.options.from.day()).await?;
        eprintln!("{} merchants loaded in {:.1} s", population.members.len(), watch.elapsed().as_secs_f64());
        server.kill()
    }

    async fn start(&mut self, now: Timestamp, rate: f64) -> Outcome<(Server, World)> {
        let server = Server::start(&self.site, now, rate).await?;
        self.starts.push(server.start);
        let world = World::new(&self.options, &self.lasting, &server, self.kills);
        Ok((server, world))
    }

    async fn live(&mut self, mut now: Timestamp) -> Outcome<Verdict> {
        let rate = self.options.rate();
        loop {
            let (mut server, world) = self.start(now, rate).await?;
            self.audit(&world).await?;
            let is_last = self.one_life(&mut server, &world).await?;
            if is_last {
                return self.finish(server, world).await;
            }
            now = self.next_life(server, &world).await?;
        }
    }

    /// Compares the books after a start.
    async fn audit(&mut self, world: &World) -> Outcome<()> {
        audit::learn_bits(world).await?;
        send_unanswered(world).await;
        audit::quick(world).await?;
        let broken: u64 = world.books().breaches.values().map(|(count, _)| count).sum();
        eprintln!(
            "{:5.0} s  {}  life {}: {} exposures acknowledged, {broken} breaches",
            self.watch.elapsed().as_secs_f64(),
            jiff::Timestamp::from_millisecond(world.time.at_least().0)?,
            self.kills,
            grouped(world.books().tally.of("exposures acknowledged")),
        );
        Ok(())
    }

    /// Traffic until the next kill, or the end; answers which of them. Everyone stopped, or failed with the server.
    async fn one_life(&mut self, server: &mut Server, world: &World) -> Outcome<bool> {
        let mut tasks = JoinSet::new();
        for number in 0..RECOMMENDERS {
            tasks.spawn(recommend(world.clone(), number, RECOMMENDERS));
        }
        tasks.spawn(send(world.clone()));
        tasks.spawn(operate(world.clone()));
        let life = Stopwatch::start();
        let is_last = loop {
            tokio::time::sleep(LOOK).await;
            if world.time.at_least() >= self.options.until() {
                break true;
            }
            if self.options.kill_every.is_some_and(|every| life.elapsed() >= every) {
                break false;
            }
        };
        self.resident_mib = self.resident_mib.max(server.resident_mib());
        let is_quiet = is_last || self.kills.is_multiple_of(QUIET_KILL);
        if !is_quiet {
            world.begin_kill();
            server.kill()?;
        }
        world.end();
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        Ok(is_last)
    }

    /// Kills the server, if it lives still, and looks at what it left. Answers the time to go on at.
    async fn next_life(&mut self, mut server: Server, world: &World) -> Outcome<Timestamp> {
        let live = if world.is_killed() { None } else { replay::live(world).await? };
        world.begin_kill();
        let now = server.kill()?;
        self.kills += 1;
        if let Some(live) = live {
            let recovered = replay::recovered(&self.site.data)?;
            self.hashes += 1;
            if recovered.0 == live.0 && recovered != live {
                world.books().breach("a restart gives the state that was live", format!("{recovered:?}, {live:?}"));
            } else if recovered.0 != live.0 {
                // It went on by itself between the answer and the kill.
                self.hashes -= 1;
            }
        }
        Ok(now)
    }

    /// The end: everything is sent that was held back, everything compared, the log replayed.
    async fn finish(&mut self, server: Server, world: World) -> Outcome<Verdict> {
        send_rest(&world, false).await;
        audit::quick(&world).await?;
        let snapshot = audit::programmes(&world, ProgrammeView::Full).await?;
        audit::full(&world, &snapshot).await?;
        let mut verdict = Verdict::default();
        verdict.line("wall time, s", format!("{:.0}", self.watch.elapsed().as_secs_f64()));
        verdict.line("simulated days", self.options.days);
        verdict.line("policy", self.options.tight.map_or("as shipped".to_owned(), |by| format!("divided by {by}")));
        verdict.line("merchants", grouped(world.population().members.len() as u64));
        verdict.take_programmes(&snapshot);
        verdict.take_guarantees(&world, &snapshot).await?;
        metrics(&server, &mut verdict).await?;

        // Reservations time out: what is reported after is late.
        let now = self.next_life(server, &world).await?.plus_ms(TIMEOUT_MS);
        let (server, world) = self.start(now, self.options.rate()).await?;
        send_unanswered(&world).await;
        send_rest(&world, true).await;
        audit::quick(&world).await?;

        // What crashes left undecided is released.
        let now = self.next_life(server, &world).await?.plus_ms(WINDOW_MS);
        let (server, world) = self.start(now, 0.0).await?;
        let snapshot = audit::quick(&world).await?;
        let reserved = audit::reserved(&snapshot);
        verdict.law("nothing is reserved after all timeouts", reserved.is_empty(), format!("{reserved:?}"));
        world.books().check_limits();
        self.check_replay(server, &world, &mut verdict).await?;
        self.take_run(&world, &mut verdict);
        Ok(verdict)
    }

    /// The live state, the one recovered from the folder, and the one of the whole log are the same.
    async fn check_replay(&mut self, mut server: Server, world: &World, verdict: &mut Verdict) -> Outcome<()> {
        let live = replay::live(world).await?.ok_or("the server does not come to rest on a clock that stands still")?;
        world.begin_kill();
        server.kill()?;
        let recovered = replay::recovered(&self.site.data)?;
        verdict.law("the folder gives the state that was live", recovered == live, format!("{recovered:?}, {live:?}"));
        let (replayed, commands) = replay::replayed(&self.site.data)?;
        verdict.line("commands in the log", grouped(commands));
        verdict.law("the whole log gives the state that was live", replayed == live, format!("{replayed:?}"));
        Ok(())
    }

    fn take_run(&self, world: &World, verdict: &mut Verdict) {
        verdict.line("kills", self.kills);
        verdict.line("states compared at kills", self.hashes);
        let slowest = self.starts.iter().max().copied().unwrap_or_default();
        verdict.line("slowest start, s", format!("{:.2}", slowest.as_secs_f64()));
        verdict.line("most resident memory, MiB", self.resident_mib);
        verdict.line("reports lost", grouped(world.outbox().lost_reports));
        verdict.take_books(world);
    }
}

/// What the server measured of itself.
async fn metrics(server: &Server, verdict: &mut Verdict) -> Outcome<()> {
    let page = server.metrics().await?;
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let is_told = ["late_exposures", "exposures_reported", "unattributed", "over_budget"];
        if is_told.iter().any(|name| line.contains(name))
            && let Some((name, value)) = line.rsplit_once(' ')
        {
            verdict.line(format!("metric {name}"), value);
        }
    }
    Ok(())
}
