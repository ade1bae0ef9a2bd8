//! Backups: taken under load they restore to exactly their revision; damaged ones are refused before anything is made of
//! them; one is taken at a time, and one that nobody takes ends.

#[cfg(test)]
mod common;
#[cfg(test)]
#[allow(dead_code, reason = "its checks after a crash are for tests/crash.rs")]
#[path = "support/crash_writer.rs"]
mod crash_writer;
#[cfg(test)]
#[path = "support/process.rs"]
mod process;

#[cfg(test)]
mod backups {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use tonic::Code;
    use trustflow::domain::{AuditEntry, Command};
    use trustflow::engine::{load, recover};
    use trustflow::log::{EmbeddedLog, Log, LogError, Revision};
    use trustflow::proto::backup_response::Part;
    use trustflow::proto::{BackupRequest, BackupSummary, BatchUpsertMerchantsRequest, GetStatusRequest, Merchant};
    use trustflow::store::{AuditRange, DataFolder, Restoring, Store, verify_backup};

    use crate::common::calls::merchant;
    use crate::common::process::{Process as Program, run};
    use crate::common::{Client, NOW, PATIENCE, Server, refusal};
    use crate::crash_writer::{Clients, Kind, Writer, begin, ended};
    use crate::process::Process;

    /// A log that ends at a revision.
    struct Until {
        log: EmbeddedLog,
        last: Revision,
    }

    impl Log for Until {
        fn append(&mut self, _: &[Command]) -> Result<(), LogError> {
            Err(LogError::Poisoned)
        }

        fn last(&self) -> Revision {
            self.last
        }

        fn read_after<'a>(
            &'a self,
            revision: Revision,
        ) -> Box<dyn Iterator<Item = Result<(Revision, Command), LogError>> + 'a> {
            let ends = |entry: &Result<(Revision, Command), LogError>| !matches!(entry, Ok((at, _)) if *at > self.last);
            Box::new(self.log.read_after(revision).take_while(ends))
        }

        fn trim(&mut self, _: Revision) -> Result<bool, LogError> {
            Err(LogError::Poisoned)
        }
    }

    /// Runs the program and answers what it said; a failure is the error.
    fn trustflow(args: &[&str]) -> Result<String, String> {
        let output = run(args);
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    async fn revision(clients: &mut Clients) -> u64 {
        clients.admin.get_status(GetStatusRequest {}).await.expect("a status").into_inner().revision
    }

    fn text(path: &Path) -> &str {
        path.to_str().expect("a path")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_backup_under_load_restores_to_exactly_its_revision() {
        const BACKUPS: usize = 6;
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let mut process = Process::start(&data);
        let mut clients = Clients::connect(&process.address).await;
        let writers: Vec<Writer> = (1..).zip(Kind::ALL).map(|(lane, kind)| Writer::new(kind, lane * 1_000)).collect();
        let ids = writers.iter().flat_map(Writer::merchants).collect();
        clients.register("setup".to_owned(), ids, "n0").await.expect("registered");
        let running = begin(writers, &clients);
        let mut backups = Vec::new();
        for n in 0..BACKUPS {
            // Something is written between any two.
            let before = revision(&mut clients).await;
            while revision(&mut clients).await <= before {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let (file, server) = (folder.path().join(format!("{n}.backup")), process.address.clone());
            let name = text(&file).to_owned();
            let backup = move || trustflow(&["backup", &name, "--server", &server]);
            tokio::task::spawn_blocking(backup).await.expect("no panic").expect("backs up");
            backups.push(file);
        }
        process.kill();
        for writer in ended(running).await {
            assert!(writer.acknowledged > 0 || writer.kind == Kind::Policies, "it wrote nothing: {writer:?}");
        }

        let mut revisions = Vec::new();
        for (n, file) in backups.iter().enumerate() {
            let restored = folder.path().join(format!("restored {n}"));
            let restoring = Restoring::fill(file, &restored).expect("restores");
            load(&restoring.content().store().expect("the store")).expect("makes a state");
            let summary = restoring.finish().expect("finishes");

            let crashed = DataFolder::open(&data).expect("opens");
            let log = Until { log: crashed.log().expect("the log"), last: summary.revision };
            let elsewhere = tempfile::tempdir().expect("a folder");
            let empty = DataFolder::open(elsewhere.path()).expect("opens").store().expect("the store");
            let replayed = recover(&log, &empty).expect("replays");
            assert_eq!(replayed.hot().revision(), summary.revision);
            let hash = empty.state_hash().expect("hashes");
            assert_eq!(hash, (summary.revision, summary.state_hash), "the log replayed that far, and the backup");
            let folder = DataFolder::open(&restored).expect("opens");
            let (log, store) = (folder.log().expect("the log"), folder.store().expect("the store"));
            assert_eq!(store.state_hash().expect("hashes"), hash);
            assert_eq!(log.last(), summary.revision, "the log goes on where the rows end");
            let again = recover(&log, &store).expect("starts");
            let trail = |store: &Store| -> Vec<AuditEntry> {
                store.audit(&AuditRange::ALL).expect("reads").collect::<Result<_, _>>().expect("reads")
            };
            assert_eq!(trail(&store), trail(&empty), "the audit trail");
            assert_eq!(again.remembered_requests(), replayed.remembered_requests(), "what was answered is remembered");
            revisions.push(summary.revision);
        }
        assert!(revisions.windows(2).all(|pair| pair[0] < pair[1]), "written between any two: {revisions:?}");
    }

    /// A server with a few merchants and a backup of it.
    async fn backed_up(folder: &Path) -> (Program, PathBuf) {
        let program = Program::simulated(&folder.join("data"), NOW);
        let client = program.client().await;
        let request = named("first", 1, "one");
        client.profiles.clone().batch_upsert_merchants(request).await.expect("taken");
        client.upsert((2..50).map(merchant).collect()).await;
        let file = folder.join("a.backup");
        let said = trustflow(&["backup", text(&file), "--server", &program.url()]).expect("backs up");
        assert!(said.contains(&client.hash().await), "{said}");
        (program, file)
    }

    fn named(request_id: &str, id: u64, name: &str) -> BatchUpsertMerchantsRequest {
        let merchants = vec![Merchant { name: name.to_owned(), ..merchant(id) }];
        BatchUpsertMerchantsRequest { request_id: request_id.to_owned(), merchants, update_mask: None }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_restored_server_goes_on_where_the_backup_was_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let (program, file) = backed_up(folder.path()).await;
        let client = program.client().await;
        let (hash, revision) = (client.hash().await, client.status().await.revision);
        let first = client.profiles.clone().batch_upsert_merchants(named("first", 1, "one")).await.expect("again");
        client.upsert(vec![merchant(99)]).await;
        assert!(folder.path().join("a.backup.partial").metadata().is_err(), "only whole files are left");
        let busy = trustflow(&["verify", "--data", text(&folder.path().join("data"))]).expect_err("in use");
        assert!(busy.contains("in use"), "{busy}");
        drop(client);
        program.stop().await;

        let there = trustflow(&["backup", text(&file)]).expect_err("never over another file");
        assert!(there.contains("exists"), "{there}");
        let restored = folder.path().join("restored");
        let said = trustflow(&["restore", text(&file), "--data", text(&restored)]).expect("restores");
        assert!(said.contains(&hash) && said.contains(&format!("revision {revision}")), "{said}");
        for line in [vec!["verify", text(&file)], vec!["verify", "--data", text(&restored)]] {
            let said = trustflow(&line).expect("verifies");
            assert!(said.contains("whole") && said.contains(&hash), "{said}");
        }
        for full in [&restored, &folder.path().join("data")] {
            let refused = trustflow(&["restore", text(&file), "--data", text(full)]).expect_err("not empty");
            assert!(refused.contains("not empty"), "{refused}");
        }

        let program = Program::simulated(&restored, NOW);
        let client = program.client().await;
        let again = client.profiles.clone().batch_upsert_merchants(named("first", 1, "one")).await.expect("again");
        assert_eq!(again.into_inner(), first.into_inner(), "a request of before the backup answers its first outcome");
        let status = client.status().await;
        assert_eq!(status.merchants, 49, "what came after the backup is not in it");
        client.upsert(vec![merchant(99)]).await;
        assert!(client.status().await.revision > revision, "revisions go on");
        drop(client);
        program.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_damaged_backup_is_refused_before_anything_is_made_of_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (program, file) = backed_up(folder.path()).await;
        program.stop().await;
        let intact = fs::read(&file).expect("reads");
        let (damaged, data) = (folder.path().join("damaged"), folder.path().join("new"));
        let refuse = |bytes: &[u8], what: &str| {
            fs::write(&damaged, bytes).expect("written");
            let error = verify_backup(&damaged).err().unwrap_or_else(|| panic!("{what} was taken")).to_string();
            assert!(error.contains(text(&damaged)), "{what}: {error}");
            let Err(again) = Restoring::fill(&damaged, &data) else { panic!("{what} was restored") };
            assert_eq!(again.to_string(), error);
            assert!(!data.exists(), "{what}: nothing was made");
        };
        let step = intact.len() / 150 + 1;
        for at in (0..intact.len()).step_by(step) {
            refuse(&intact[..at], &format!("a file cut at {at}"));
            let mut flipped = intact.clone();
            flipped[at] ^= 1 << (at % 8);
            refuse(&flipped, &format!("a bit flipped at {at}"));
        }
        refuse(&[&intact[..], &[0]].concat(), "a file with something behind its end");
        refuse(&[&intact[..], &intact[..]].concat(), "a file twice");
        let newer = [b"trustflow backup 2\n", &intact[19..]].concat();
        refuse(&newer, "a newer format");
        fs::write(&damaged, &newer).expect("written");
        let said = verify_backup(&damaged).expect_err("a newer format").to_string();
        assert!(said.contains("trustflow backup 2") && said.contains("trustflow backup 1"), "{said}");
        verify_backup(&file).expect("the intact one");
    }

    #[test]
    fn a_restore_that_was_interrupted_is_not_served() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("VERSION"), "trustflow restore unfinished\n").expect("written");
        let error = DataFolder::open(folder.path()).err().expect("not a data folder").to_string();
        assert!(error.contains("restore") && error.contains("remove the folder"), "{error}");
        let error = trustflow(&["verify", "--data", text(&folder.path().join("nothing"))]).expect_err("nothing there");
        assert!(error.contains("nothing/VERSION"), "{error}");
    }

    /// More than fits into the buffers between the server and a caller that does not read.
    async fn fill(client: &Client) {
        for batch in 0..6_u64 {
            let long = |id| Merchant {
                categories: (0..60).map(|n| format!("{id}-{n}-{}", "x".repeat(200))).collect(),
                ..merchant(id)
            };
            client.upsert((batch * 200 + 1..batch * 200 + 201).map(long).collect()).await;
        }
    }

    async fn whole(client: &Client) -> Result<(u64, BackupSummary), tonic::Status> {
        let mut parts = client.admin.clone().backup(BackupRequest {}).await?.into_inner();
        let mut bytes = 0;
        loop {
            match parts.message().await?.and_then(|part| part.part).expect("a part until the summary") {
                Part::Chunk(chunk) => bytes += chunk.len() as u64,
                Part::Summary(summary) => return Ok((bytes, summary)),
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_backup_at_a_time_and_one_that_nobody_takes_ends() {
        let server = Server::start().await;
        fill(&server.client).await;
        let mut idle = server.client.admin.clone().backup(BackupRequest {}).await.expect("begins").into_inner();
        assert!(idle.message().await.expect("a part").is_some());
        refusal(whole(&server.client).await).is_plain(Code::ResourceExhausted, "BACKUP_RUNNING");
        server.client.upsert(vec![merchant(9_999)]).await;
        drop(idle);
        let taken = async {
            loop {
                match whole(&server.client).await {
                    Ok(taken) => return taken,
                    Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{status}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let (bytes, summary) = tokio::time::timeout(PATIENCE, taken).await.expect("the first has ended");
        assert_eq!(bytes, summary.bytes);
        assert_eq!(summary.state_hash, server.client.hash().await);
        server.stop().await;
    }
}
