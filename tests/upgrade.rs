//! What earlier releases wrote: a backup of format 1, as its first release took it, restores and makes the state it was
//! taken of. A change that breaks this needs a new format, and a way from this one.

#[cfg(test)]
#[allow(dead_code, reason = "its checks after a failure are for other tests")]
#[path = "support/mixed.rs"]
mod mixed;
#[cfg(test)]
#[path = "support/small_policy.rs"]
mod small_policy;
#[cfg(test)]
#[path = "support/spending.rs"]
mod spending;

#[cfg(test)]
mod formats {
    use std::fs::File;
    use std::path::PathBuf;
    use std::sync::Arc;

    use trustflow::clock::{Clock, SystemClock};
    use trustflow::domain::MerchantId;
    use trustflow::engine::{Engine, load, recover};
    use trustflow::store::{DataFolder, Restoring, verify_backup};

    use crate::mixed::{SETTINGS, write};

    /// What the file was taken of.
    const REVISION: u64 = 141;
    const ROWS: u64 = 197;
    const STATE_HASH: u128 = 209_727_263_850_558_039_442_826_747_839_681_752_746;
    /// The first write that is not in it.
    const WRITES: u64 = 130;

    fn fixture() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format_1.backup")
    }

    /// Not a test: how the file was made.
    #[tokio::test]
    #[ignore = "makes the file that the test below reads"]
    async fn make_fixture() {
        if fixture().exists() {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(SystemClock::default());
        let engine = Engine::open(folder.path(), clock.clone(), SETTINGS).expect("starts");
        write(&engine, clock.now(), 1..WRITES, |_, _| {}).await.expect("writes");
        let summary = engine.backup(File::create(fixture()).expect("created")).expect("backs up");
        println!("{summary:?}");
        engine.shut_down();
    }

    #[test]
    fn a_backup_of_format_1_restores() {
        let summary = verify_backup(&fixture()).expect("verifies");
        assert_eq!((summary.revision, summary.rows, summary.state_hash), (REVISION, ROWS, STATE_HASH));
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let restoring = Restoring::fill(&fixture(), &data).expect("restores");
        load(&restoring.content().store().expect("the store")).expect("makes a state");
        restoring.finish().expect("finishes");

        let folder = DataFolder::open(&data).expect("opens");
        let (log, store) = (folder.log().expect("the log"), folder.store().expect("the store"));
        let state = recover(&log, &store).expect("starts");
        assert_eq!(store.state_hash().expect("hashes"), (REVISION, STATE_HASH));
        assert_eq!((state.hot().revision(), state.merchant_count()), (REVISION, 3));
        assert!(state.remembered_requests() > 0 && state.remembered_reports() > 0);
        assert!(state.packages(MerchantId(1)).count() + state.packages(MerchantId(3)).count() > 0);
    }

    /// Folders of the first releases have no note of what was acknowledged.
    #[tokio::test]
    async fn a_folder_from_before_the_note_opens() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(SystemClock::default());
        let engine = Engine::open(folder.path(), clock.clone(), SETTINGS).expect("starts");
        write(&engine, clock.now(), 1..20, |_, _| {}).await.expect("writes");
        let revision = engine.hot().revision();
        engine.shut_down();
        drop(engine);
        let note = folder.path().join("acknowledged");
        std::fs::remove_file(&note).expect("it was there");
        let engine = Engine::open(folder.path(), clock, SETTINGS).expect("opens");
        assert!(engine.hot().revision() >= revision);
        assert!(note.exists(), "from now on it is noted");
        engine.shut_down();
    }
}
