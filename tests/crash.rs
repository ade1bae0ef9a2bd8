//! Kills the real program with SIGKILL at random moments while clients write, again and again on one data folder:
//! what was acknowledged is there, nothing is torn, retries count once, and the whole log replayed elsewhere gives the
//! same state.
//!
//! `TRUSTFLOW_CRASH_ROUNDS` sets how often it is killed, `TRUSTFLOW_CRASH_SEED` when.

#[cfg(test)]
#[path = "support/crash_writer.rs"]
mod crash_writer;
#[cfg(test)]
#[path = "support/dice.rs"]
mod dice;
#[cfg(test)]
#[path = "support/process.rs"]
mod process;
#[cfg(test)]
#[path = "support/rounds.rs"]
mod rounds;

#[cfg(test)]
mod kills {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Duration;

    use trustflow::clock::Stopwatch;
    use trustflow::domain::{AuditEntry, MerchantId};
    use trustflow::engine::recover;
    use trustflow::log::Log;
    use trustflow::proto::{GetStateHashRequest, GetStatusRequest};
    use trustflow::state::State;
    use trustflow::store::{AuditRange, DataFolder, Store};
    use trustflow::traffic::MerchantRecord;

    use crate::crash_writer::{Clients, Kind, Writer, begin, ended};
    use crate::dice::Dice;
    use crate::process::Process;
    use crate::rounds::setting;

    const ROUNDS: u64 = 20;
    const SEED: u64 = 20_230_216;
    /// Shortest and longest time between the first write and the kill.
    const KILL_MS: (u64, u64) = (3, 250);

    fn writers() -> Vec<Writer> {
        (1..).zip(Kind::ALL).map(|(lane, kind)| Writer::new(kind, lane * 1_000)).collect()
    }

    async fn check(writers: &mut [Writer], clients: &mut Clients) {
        let status = clients.admin.get_status(GetStatusRequest {}).await.expect("status").into_inner();
        let acknowledged = writers.iter().map(|writer| writer.revision).max().unwrap_or(0);
        assert!(status.revision >= acknowledged, "revision {} after {acknowledged}", status.revision);
        for writer in writers {
            writer.check(clients).await;
        }
    }

    /// Writes until the kill.
    async fn crash(writers: Vec<Writer>, process: &mut Process, clients: &Clients, after: Duration) -> Vec<Writer> {
        let running = begin(writers, clients);
        tokio::time::sleep(after).await;
        process.kill();
        ended(running).await
    }

    /// The hash a live server tells, once it stands still.
    async fn live_hash(clients: &mut Clients) -> (u64, String) {
        loop {
            let status = clients.admin.get_status(GetStatusRequest {}).await.expect("status").into_inner();
            let response = clients.admin.get_state_hash(GetStateHashRequest {}).await.expect("a hash").into_inner();
            if status.building.is_empty() && status.revision == response.revision {
                return (response.revision, response.state_hash);
            }
        }
    }

    /// What readers see of all merchants, in order of id.
    fn records(state: &State) -> Vec<(u64, MerchantRecord)> {
        let (hot, world) = (state.hot(), state.hot().world());
        let record = |id| hot.merchant_slot(id).map(|slot| world.table.read(slot));
        state.merchants_after(0).filter_map(|merchant| Some((merchant.id.0, record(merchant.id)?))).collect()
    }

    fn audit_trail(store: &Store) -> Vec<AuditEntry> {
        store.audit(&AuditRange::ALL).expect("reads").collect::<Result<_, _>>().expect("reads")
    }

    /// Every acknowledged write has one entry.
    fn check_audit(trail: &[AuditEntry], writers: &[Writer]) {
        let mut entries: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in trail.iter().filter(|entry| !entry.by_server) {
            *entries.entry(&entry.request.request_id).or_default() += 1;
        }
        // Chunks of imports have no request ids: they are told apart by their numbers.
        let imports = trail.iter().filter(|entry| entry.request.method == "Import").count() as u64;
        for writer in writers {
            if writer.kind == Kind::Import {
                assert_eq!(imports, writer.acknowledged, "{writer:?}");
                continue;
            }
            for n in 1..=writer.acknowledged {
                let found = entries.get(writer.request_id(n).as_str());
                assert_eq!(found, Some(&1), "entries of write {n}: {writer:?}");
            }
        }
    }

    /// Replays the whole log into an empty store, and compares with the store that was crashed so often.
    fn check_replay(
        data: &Path,
        (revision, live): &(u64, String),
        reported: (u64, u64),
        starts: u64,
        writers: &[Writer],
    ) {
        let folder = DataFolder::open(data).expect("opens");
        let (log, store) = (folder.log().expect("the log"), folder.store().expect("the store"));
        let crashed = recover(&log, &store).expect("recovers");
        let hash = store.state_hash().expect("hashes");
        assert_eq!((hash.0, format!("{:032x}", hash.1)), (*revision, live.clone()), "the store and the live server");
        assert_eq!(log.last(), *revision);

        let elsewhere = tempfile::tempdir().expect("a folder");
        let empty = DataFolder::open(elsewhere.path()).expect("opens").store().expect("the store");
        let replayed = recover(&log, &empty).expect("replays");
        assert_eq!(empty.state_hash().expect("hashes"), hash, "the replayed store and the crashed one");
        assert_eq!(records(&replayed), records(&crashed));
        let trail = audit_trail(&store);
        assert_eq!(audit_trail(&empty), trail, "the replayed audit trail and that of the crashed store");
        check_audit(&trail, writers);
        for state in [&crashed, &replayed] {
            let (merchant, exposures) = reported;
            assert_eq!(state.recent_exposures(MerchantId(merchant)), exposures, "every report counts once");
            for (key, account) in (0..64).flat_map(|bit| state.accounts_in(bit)) {
                assert_eq!(account.taken(), account.delivered + account.leased() + account.orphaned(), "{key:?}");
            }
            assert_eq!(state.session_of(1).map(u64::from), Some(starts), "a session for every start");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_acknowledged_is_lost_and_nothing_is_torn() {
        let (rounds, seed) = (setting("TRUSTFLOW_CRASH_ROUNDS", ROUNDS), setting("TRUSTFLOW_CRASH_SEED", SEED));
        let took = Stopwatch::start();
        let mut dice = Dice::new(seed);
        let folder = tempfile::tempdir().expect("a folder");
        let mut writers = writers();
        for round in 0..rounds {
            let mut process = Process::start(folder.path());
            let mut clients = Clients::connect(&process.address).await;
            if round == 0 {
                let ids = writers.iter().flat_map(Writer::merchants).collect();
                clients.register("setup".to_owned(), ids, "n0").await.expect("registered");
            }
            check(&mut writers, &mut clients).await;
            let after = Duration::from_millis(KILL_MS.0 + dice.below(KILL_MS.1 - KILL_MS.0));
            writers = crash(writers, &mut process, &clients, after).await;
        }

        let mut process = Process::start(folder.path());
        let mut clients = Clients::connect(&process.address).await;
        check(&mut writers, &mut clients).await;
        for writer in &mut writers {
            writer.check_all(&mut clients).await;
            // A policy takes longer than most of these servers live.
            let few = if writer.kind == Kind::Policies { 0 } else { rounds / 10 };
            assert!(writer.acknowledged > few, "hardly anything was written: {writer:?}");
        }
        let live = live_hash(&mut clients).await;
        process.kill();
        let reported = writers.iter().find_map(Writer::exposures).expect("one reports exposures");
        check_replay(folder.path(), &live, reported, rounds + 1, &writers);
        let written: u64 = writers.iter().map(|writer| writer.acknowledged).sum();
        println!("{rounds} kills, {written} writes acknowledged, {:?} (seed {seed})", took.elapsed());
    }
}
