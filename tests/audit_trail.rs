//! The audit trail is searched in pages, kept for as long as it is wanted, survives kills, backups and restarts, and is
//! exported by the client.

#[allow(dead_code, reason = "its other calls are for tests/audit.rs")]
#[path = "support/audit.rs"]
mod audit;
mod common;
#[allow(dead_code, reason = "its other calls are for tests of programmes")]
#[path = "support/operator.rs"]
mod operator;

use std::path::Path;
use std::sync::Arc;

use audit::{Audit, everything, of_method, of_subject, right};
use common::access::eventually;
use common::calls::{merchant, violation};
use common::process::{Process, run};
use common::{NOW, Server, instant, refusal};
use operator::{Operator, shown, tagged};
use serde_json::{Value, json};
use tonic::Code;
use trustflow::clock::SimulatedClock;
use trustflow::domain::{AuditEntry, Body, RequestKey, Timestamp};
use trustflow::engine::{AUDIT_LOOKED_AT, AuditQuery, Engine, WriterSettings, recover};
use trustflow::proto::{ListAuditEntriesRequest, Merchant, Scene};
use trustflow::store::{AuditRange, AuditRetention, DataFolder, Store};

#[tokio::test]
async fn filters_and_pages() {
    let server = Server::start().await;
    let client = &server.client;
    for id in 1..=9 {
        client.upsert(vec![merchant(id)]).await;
    }
    client.grant(5, vec![right("seven_day_no_reason")]).await;
    client.advance("2023-03-01T08:00:00+08:00").await;
    client.upsert(vec![Merchant { fan_count: 1, ..merchant(5) }]).await;

    let of_five = client.audit(of_subject("merchant/5")).await;
    let methods: Vec<_> = of_five.iter().map(|entry| entry.method.as_str()).collect();
    assert_eq!(methods, ["BatchUpsertMerchants", "SetRights", "BatchUpsertMerchants"]);
    let both = ListAuditEntriesRequest { method: "SetRights".to_owned(), ..of_subject("merchant/5") };
    assert_eq!(client.audit(both).await, of_five[1..2], "conditions hold all at once");
    assert_eq!(client.audit(of_subject("merchant/77")).await, []);
    assert_eq!(client.audit(of_method("DeleteMerchant")).await, []);

    let at_eight = Some(instant("2023-03-01T08:00:00+08:00"));
    let later = client.audit(ListAuditEntriesRequest { from_time: at_eight, ..of_subject("merchant/5") }).await;
    let earlier = client.audit(ListAuditEntriesRequest { until_time: at_eight, ..of_subject("merchant/5") }).await;
    assert_eq!((later, earlier), (of_five[..1].to_vec(), of_five[1..].to_vec()), "from its instant on, and before it");
    let (first, last) = (of_five[2].revision, of_five[1].revision);
    let span = ListAuditEntriesRequest { from_revision: first, until_revision: last, ..everything() };
    let between = client.audit(span.clone()).await;
    assert_eq!((between.len(), between[0].revision, between[5].revision), (6, last, first), "5 to 9, and the rights");

    for oldest_first in [false, true] {
        let whole = client.audit(ListAuditEntriesRequest { oldest_first, ..everything() }).await;
        for page_size in [1, 3, 1_000] {
            let paged = client.audit(ListAuditEntriesRequest { oldest_first, page_size, ..everything() }).await;
            assert_eq!(paged, whole, "in pages of {page_size}");
        }
        let paged = ListAuditEntriesRequest { oldest_first, page_size: 4, ..span.clone() };
        let first = client.page(paged.clone()).await;
        client.upsert(vec![merchant(100)]).await;
        let second = client.page(ListAuditEntriesRequest { page_token: first.next_page_token, ..paged }).await;
        let mut both: Vec<_> = first.entries.into_iter().chain(second.entries).collect();
        both.sort_by_key(|entry| std::cmp::Reverse(entry.revision));
        assert_eq!((both, second.next_page_token.as_str()), (between.clone(), ""), "whatever is written meanwhile");
    }
    server.stop().await;
}

#[tokio::test]
async fn wrong_requests_are_refused_by_field() {
    let server = Server::start().await;
    let cases = [
        ("subject", of_subject("shop/5")),
        ("subject", of_subject("merchant/x")),
        ("identity", ListAuditEntriesRequest { identity: "x".repeat(257), ..everything() }),
        ("method", of_method(&"x".repeat(257))),
        ("page_size", ListAuditEntriesRequest { page_size: 1_001, ..everything() }),
        ("page_token", ListAuditEntriesRequest { page_token: "?".to_owned(), ..everything() }),
        ("until_revision", ListAuditEntriesRequest { from_revision: 5, until_revision: 4, ..everything() }),
        (
            "until_time",
            ListAuditEntriesRequest { from_time: Some(instant(NOW)), until_time: Some(instant(NOW)), ..everything() },
        ),
        (
            "from_time",
            ListAuditEntriesRequest {
                from_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
                ..everything()
            },
        ),
    ];
    for (field, request) in cases {
        let refused = refusal(server.client.admin.clone().list_audit_entries(request).await);
        refused.is(Code::InvalidArgument, "BAD_REQUEST", field);
    }
    server.stop().await;
}

/// Every entry of a store.
fn stored(store: &Store) -> Vec<AuditEntry> {
    store.audit(&AuditRange::ALL).expect("reads").collect::<Result<_, _>>().expect("reads")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_survive_kills_and_backups_and_a_replay_makes_them_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let [data, file, restored] = ["data", "a.backup", "restored"].map(|name| folder.path().join(name));
    let process = Process::simulated(&data, NOW);
    let client = process.client().await;
    client.publish_programmes().await;
    client.upsert(vec![tagged(1, "push"), tagged(2, "push")]).await;
    client.punish(violation(9, 1, "ban")).await;
    client.report("r", vec![shown(2, Scene::Live, 0, 75)]).await;
    client.pause("push", "incident").await;
    client.advance("2023-03-02T07:00:00+08:00").await;
    client.upsert(vec![Merchant { name: "last".to_owned(), ..merchant(2) }]).await;
    let all = ListAuditEntriesRequest { bulk: true, ..everything() };
    let live = client.audit(all.clone()).await;
    assert!(live.len() > 8, "{live:?}");
    let backup = run(&["backup", text(&file), "--server", &process.url()]);
    assert!(backup.status.success(), "{backup:?}");
    drop(client);
    process.signal("KILL");
    process.end();

    let (mut kept, made) = {
        let folder = DataFolder::open(&data).expect("opens");
        let (log, store) = (folder.log().expect("the log"), folder.store().expect("the store"));
        recover(&log, &store).expect("recovers");
        let elsewhere = tempfile::tempdir().expect("a folder");
        let empty = DataFolder::open(elsewhere.path()).expect("opens").store().expect("the store");
        recover(&log, &empty).expect("replays");
        (stored(&store), stored(&empty))
    };
    assert_eq!(made, kept, "the log makes the same entries again");
    kept.reverse();
    let revisions: Vec<u64> = live.iter().map(|entry| entry.revision).collect();
    assert_eq!(kept.iter().map(|entry| entry.revision).collect::<Vec<_>>(), revisions);

    let said = run(&["restore", text(&file), "--data", text(&restored)]);
    assert!(said.status.success(), "{said:?}");
    for folder in [&data, &restored] {
        let process = Process::simulated(folder, "2023-03-02T07:00:00+08:00");
        let client = process.client().await;
        assert_eq!(client.audit(all.clone()).await, live, "{}", folder.display());
        client.upsert(vec![merchant(3)]).await;
        assert_eq!(client.audit(all.clone()).await.len(), live.len() + 1, "and they go on");
        drop(client);
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_prints_a_table_and_exports_json_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::simulated(&folder.path().join("data"), NOW);
    let client = process.client().await;
    client.upsert(vec![merchant(1), merchant(2)]).await;
    // More than the client asks for at a time.
    for _ in 0..1_010 {
        client.grant(2, vec![]).await;
    }
    client.grant(1, vec![right("seven_day_no_reason")]).await;
    let audit = |more: &[&str]| {
        let url = process.url();
        let args = [&["admin", "audit", "--server", url.as_str()], more].concat();
        let output = run(&args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let table = audit(&["--merchant", "1"]);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].starts_with("revision  time") && lines[1].contains("SetRights"), "{table}");
    assert!(lines[2].contains("(anonymous)") && lines[2].contains("127.0.0.1"), "{table}");

    let exported = audit(&["--format", "jsonl", "--bulk", "--oldest-first"]);
    let exported: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let served = client.audit(ListAuditEntriesRequest { bulk: true, oldest_first: true, ..everything() }).await;
    let revisions = |entry: &Value| entry["revision"].as_u64();
    assert_eq!(
        exported.iter().map(revisions).collect::<Vec<_>>(),
        served.iter().map(|e| Some(e.revision)).collect::<Vec<_>>()
    );
    let last = exported.last().expect("entries");
    assert_eq!(
        (&last["method"], &last["peer"], &last["identity"]),
        (&json!("SetRights"), &json!("127.0.0.1"), &json!(""))
    );
    assert_eq!(last["changes"][0]["subject"], "merchant/1");
    assert_eq!(last["changes"][0]["before"], json!({"rights": []}));
    assert_eq!(last["changes"][0]["after"]["rights"][0]["right"], "seven_day_no_reason");
    assert_eq!(audit(&["--json", "--limit", "3"]).lines().count(), 3);
    let refused = run(&["admin", "audit", "--subject", "shop/1", "--server", &process.url()]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("subject"), "{refused:?}");
    drop(client);
    process.stop().await;
}

#[tokio::test]
async fn entries_are_kept_for_as_long_as_the_settings_say() {
    let server = Server::start_with(NOW, |settings| {
        settings.audit_days = 10;
        settings.audit_bulk_days = 2;
    });
    let server = server.await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    client.report("r", vec![shown(1, Scene::Live, 0, 75)]).await;
    let is_there = async |request| !client.audit(request).await.is_empty();
    client.advance("2023-03-03T06:59:59+08:00").await;
    assert!(is_there(of_method("ReportExposures")).await && is_there(of_subject("merchant/1")).await);
    client.advance("2023-03-03T08:00:00+08:00").await;
    eventually("old bulk data goes", async || !is_there(of_method("ReportExposures")).await).await;
    assert!(is_there(of_subject("merchant/1")).await, "changes stay longer");
    client.advance("2023-03-12T08:00:00+08:00").await;
    eventually("old changes go", async || !is_there(of_subject("merchant/1")).await).await;
    assert!(is_there(of_subject("clock")).await, "what is younger stays");
    let server = server.restart().await;
    assert!(server.client.audit(of_subject("merchant/1")).await.is_empty(), "they are gone for good");
    server.stop().await;
}

#[tokio::test]
async fn one_page_looks_at_a_bounded_number_of_entries() {
    let folder = tempfile::tempdir().expect("a folder");
    let audit = AuditRetention { max_entries: 10_500, ..AuditRetention::DEFAULT };
    let settings = WriterSettings { node: 1, log_retain: 1_000, close_days: false, audit };
    let clock = Arc::new(SimulatedClock::new(Timestamp(1_700_000_000_000), 0.0));
    let engine = Engine::open(folder.path(), clock, settings).expect("starts");
    let switch = || Body::SetKillSwitch { is_on: true, author: String::new(), reason: String::new() };
    let write = async |identity: &str, count: usize| {
        let request = || RequestKey { identity: identity.to_owned(), ..RequestKey::default() };
        let begin = |_| engine.begin_write(Some(request()), switch()).expect("taken");
        let mut left = count;
        while left > 0 {
            // As many as the queue takes.
            let pending: Vec<_> = (0..left.min(1_000)).map(begin).collect();
            left -= pending.len();
            for write in pending {
                write.outcome().await.expect("written");
            }
        }
    };
    write("ann", 1).await;
    write("bob", 11_000).await;
    let range = AuditRange { newest_first: true, ..AuditRange::ALL };
    let identity = "ann".to_owned();
    let query = AuditQuery { range, identity, method: String::new(), subject: None, size: 10 };
    let page = engine.audit(&query).expect("reads");
    assert_eq!(page.entries, [], "none of the newest {AUDIT_LOOKED_AT}");
    let next = page.next.expect("there are more");
    let range = AuditRange { revisions: (0, next), ..range };
    let page = engine.audit(&AuditQuery { range, ..query.clone() }).expect("reads");
    assert_eq!((page.entries.len(), page.next), (1, None), "the oldest");

    // Entries that tell much make short pages: what is answered has a bound, too.
    let reason = || "x".repeat(4_096);
    let wordy = || Body::SetKillSwitch { is_on: true, author: String::new(), reason: reason() };
    for _ in 0..300 {
        engine
            .write(Some(RequestKey { identity: "carl".to_owned(), ..RequestKey::default() }), wordy())
            .await
            .expect("written");
    }
    let of_carl = AuditQuery { identity: "carl".to_owned(), size: 1_000, ..query.clone() };
    let page = engine.audit(&of_carl).expect("reads");
    assert!((100..299).contains(&page.entries.len()) && page.next.is_some(), "{} entries", page.entries.len());

    // Beyond the bound the oldest go, whatever their age, once state time has moved.
    assert_eq!(engine.audit_entries(), [11_301, 0]);
    engine.advance_clock(None, Timestamp(1_700_000_100_000)).await.expect("moves");
    eventually("the oldest go", async || engine.audit_entries()[0] <= 10_500).await;
    assert_eq!(engine.audit(&query).expect("reads").entries, []);
    engine.shut_down();
}
