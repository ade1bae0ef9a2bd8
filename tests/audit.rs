//! What the audit trail tells of every kind of change: who asked, from where, what it was before and what it is after.

#[path = "support/audit.rs"]
mod audit;
mod common;
#[allow(dead_code, reason = "its other calls are for tests of programmes")]
#[path = "support/operator.rs"]
mod operator;

use audit::{Audit, everything, of_method, of_subject, right};
use common::access::{token_entry, write};
use common::calls::{facts, merchant, violation};
use common::{NOW, Server, instant, refusal};
use operator::{Operator, shown, tagged};
use serde_json::{Value, json};
use tonic::{Code, Request};
use trustflow::domain::AUDITED_SUBJECTS;
use trustflow::proto::{
    AdjustBudgetRequest, AssignPackageRequest, AuditChange, AuditEntry, BatchUpsertMerchantsRequest,
    DeleteMerchantRequest, FactColumns, GrantPackageRequest, ImportRequest, ListAuditEntriesRequest, Merchant,
    PublishPolicyRequest, RecordViolationRequest, ReleasePackageRequest, ResumeProgrammeRequest,
    RevokeViolationRequest, RollbackPolicyRequest, Scene, SetKillSwitchRequest, TargetKind,
};

/// The fields of a change, before and after; null where there are none.
fn fields(change: &AuditChange) -> (Value, Value) {
    let read = |text: &str| if text.is_empty() { Value::Null } else { serde_json::from_str(text).expect("JSON") };
    (read(&change.before), read(&change.after))
}

/// Fails unless the entry is of this method, and tells this of this subject alone.
#[track_caller]
fn tells(entry: &AuditEntry, method: &str, subject: &str, before: &Value, after: &Value) {
    assert_eq!(entry.method, method, "{entry:?}");
    let found: Vec<_> = entry.changes.iter().map(|change| (change.subject.as_str(), fields(change))).collect();
    assert_eq!(found, [(subject, (before.clone(), after.clone()))], "{entry:?}");
}

fn named(id: u64, name: &str) -> BatchUpsertMerchantsRequest {
    let merchants = vec![Merchant { name: name.to_owned(), ..merchant(id) }];
    BatchUpsertMerchantsRequest { merchants, ..BatchUpsertMerchantsRequest::default() }
}

fn import(sequence: u64) -> ImportRequest {
    let columns = FactColumns {
        target_kind: TargetKind::Merchant.into(),
        ids: vec![1, 1],
        days: vec![common::day_number("2023-02-01"), common::day_number("2023-02-02")],
        cell_counts: vec![1, 1],
        counters: vec![0, 0],
        values: vec![5, 6],
        counter_names: vec!["paid_orders".to_owned()],
    };
    let (merchants, import_id) = (vec![merchant(1)], "night".to_owned());
    ImportRequest { import_id, sequence, merchants, facts: Some(columns), ..ImportRequest::default() }
}

#[tokio::test]
async fn changes_of_profiles_and_conduct_are_told_field_by_field() {
    let server = Server::start().await;
    let (client, mut profiles) = (&server.client, server.client.profiles.clone());
    client.upsert(vec![merchant(1)]).await;
    let created = json!({
        "name": "merchant 1", "kind": "ordinary", "opened_at": "2020-01-01T00:00:00.000+08:00",
        "categories": ["womens_wear"], "region": "guangdong",
    });
    let entry = client.last().await;
    tells(&entry, "BatchUpsertMerchants", "merchant/1", &Value::Null, &created);
    assert_eq!((entry.identity.as_str(), entry.peer.as_str(), entry.by_server), ("", "127.0.0.1", false));
    assert_eq!((entry.revision, entry.time), (client.status().await.revision, Some(instant(NOW))));

    client.upsert(vec![Merchant { fan_count: 7, tags: vec!["a".to_owned()], ..merchant(1) }]).await;
    let after = json!({"fan_count": 7, "tags": ["a"]});
    tells(&client.last().await, "BatchUpsertMerchants", "merchant/1", &json!({}), &after);

    let tags = vec!["标".repeat(200); 10];
    client.upsert(vec![Merchant { fan_count: 7, tags, ..merchant(1) }]).await;
    let long = fields(&client.last().await.changes[0]).1["tags"].clone();
    let long = long.as_str().expect("its beginning, as text");
    assert!(long.starts_with("[\"标标") && long.ends_with("… (6031 bytes)") && long.len() < 1_100, "{long}");
    client.upsert(vec![Merchant { fan_count: 7, tags: vec!["a".to_owned()], ..merchant(1) }]).await;

    client.punish(violation(9, 1, "mute")).await;
    let recorded = |revoked: bool| {
        json!({"violation 9": {
            "type": "mute", "decision": "applied", "revoked": revoked, "occurred_at": "2023-03-01T07:00:00.000+08:00",
            "effective_from": "2023-03-01T07:00:00.000+08:00", "effective_until": "2023-03-04T07:00:00.000+08:00",
        }})
    };
    tells(&client.last().await, "RecordViolation", "merchant/1", &json!({}), &recorded(false));
    client.revoke(9, 1).await;
    tells(&client.last().await, "RevokeViolation", "merchant/1", &recorded(false), &recorded(true));

    client.grant(1, vec![right("seven_day_no_reason")]).await;
    let held = json!({"rights": [
        {"right": "seven_day_no_reason", "from": "2023-01-01T00:00:00.000+08:00", "until": null}
    ]});
    tells(&client.last().await, "SetRights", "merchant/1", &json!({"rights": []}), &held);

    let delete = DeleteMerchantRequest { merchant_id: 1, ..DeleteMerchantRequest::default() };
    profiles.delete_merchant(delete).await.expect("deleted");
    let mut gone = created.clone();
    gone["fan_count"] = json!(7);
    gone["tags"] = json!(["a"]);
    tells(&client.last().await, "DeleteMerchant", "merchant/1", &gone, &Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn an_item_has_the_violations_that_are_about_it() {
    let server = Server::start().await;
    server.client.register(merchant(1)).await;
    let reduced = RecordViolationRequest {
        target_kind: TargetKind::ShortVideo.into(),
        target_id: 13,
        ..violation(3, 1, "reduce_short_video")
    };
    server.client.punish(reduced).await;
    let entry = server.client.last().await;
    let subjects: Vec<_> = entry.changes.iter().map(|change| change.subject.as_str()).collect();
    assert_eq!(subjects, ["merchant/1", "short_video/13"]);
    let of_video = server.client.audit(of_subject("short_video/13")).await;
    assert_eq!(of_video.len(), 2, "registered, and punished: {of_video:?}");
    server.stop().await;
}

#[tokio::test]
async fn what_operators_do_is_told_with_author_and_reason() {
    let server = Server::start().await;
    let (client, mut policies) = (&server.client, server.client.policies.clone());
    client.publish_programmes().await;
    client.upsert(vec![tagged(1, "push")]).await;
    let published = client.audit(of_method("PublishPolicy")).await;
    let [by_caller, by_server] = published.as_slice() else { unreachable!("{published:?}") };
    assert!(!by_caller.by_server && by_server.by_server && by_server.peer.is_empty(), "{published:?}");
    tells(by_caller, "PublishPolicy", "policy/2", &json!({}), &json!({"preparing": 2}));
    let activated = client.audit(of_subject("policy/2")).await.remove(0);
    assert!(activated.by_server);
    tells(&activated, "Activate", "policy/2", &json!({"serving": 1, "preparing": 2}), &json!({"serving": 2}));

    let rollback = RollbackPolicyRequest {
        version: 1,
        reason: "worse".to_owned(),
        author: "ann".to_owned(),
        ..RollbackPolicyRequest::default()
    };
    policies.rollback_policy(rollback.clone()).await.expect("rolled back");
    let entry = client.audit(of_method("RollbackPolicy")).await.remove(0);
    tells(&entry, "RollbackPolicy", "policy/1", &json!({}), &json!({"preparing": 1}));
    assert_eq!((entry.author.as_str(), entry.reason.as_str()), ("ann", "worse"));
    let again = policies.rollback_policy(RollbackPolicyRequest { version: 2, ..rollback }).await;
    again.expect("rolled forward");

    for (on, author) in [(true, "bob"), (false, "")] {
        let (reason, author) = ("incident".to_owned(), author.to_owned());
        let request = SetKillSwitchRequest { on, reason, author, ..SetKillSwitchRequest::default() };
        policies.set_kill_switch(request).await.expect("set");
    }
    let killed = client.audit(ListAuditEntriesRequest { oldest_first: true, ..of_subject("kill_switch") }).await;
    let on = json!({"on": true, "author": "bob", "reason": "incident", "since": "2023-03-01T07:00:00.000+08:00"});
    tells(&killed[0], "SetKillSwitch", "kill_switch", &json!({"on": false}), &on);
    assert_eq!((killed[0].author.as_str(), killed[0].reason.as_str()), ("bob", "incident"));
    tells(&killed[1], "SetKillSwitch", "kill_switch", &on, &json!({"on": false}));

    client.pause("push", "incident").await;
    let entry = client.last().await;
    tells(&entry, "PauseProgramme", "programme/push", &json!({"paused": false}), &json!({"paused": true}));
    assert_eq!((entry.author.as_str(), entry.reason.as_str()), ("ann", "incident"));
    let resume =
        ResumeProgrammeRequest { id: "push".into(), reason: "over".into(), ..ResumeProgrammeRequest::default() };
    client.programmes().resume_programme(resume).await.expect("resumed");
    let adjust = AdjustBudgetRequest { exposures: Some(5_000), ..AdjustBudgetRequest::default() };
    client.adjust(adjust).await.expect("adjusted");
    tells(&client.last().await, "AdjustBudget", "programme/push", &json!({}), &json!({"budget": 5_000}));
    let mall = AdjustBudgetRequest { scene: Scene::Mall.into(), exposures: Some(9), ..AdjustBudgetRequest::default() };
    client.adjust(mall).await.expect("adjusted");
    tells(&client.last().await, "AdjustBudget", "programme/push", &json!({}), &json!({"budget in mall": 9}));
    server.stop().await;
}

#[tokio::test]
async fn packages_and_days_are_told() {
    let server = Server::start().await;
    let client = &server.client;
    client.upsert(vec![merchant(1)]).await;
    let grant = GrantPackageRequest {
        merchant_id: 1,
        exposures: 1_000,
        reason: "reward".into(),
        expires_at: Some(instant("2023-04-01T00:00:00+08:00")),
        ..GrantPackageRequest::default()
    };
    client.programmes().grant_package(grant).await.expect("given");
    let given = json!({"package 1": {"exposures": 1_000, "expires_at": "2023-04-01T00:00:00.000+08:00"}});
    tells(&client.last().await, "GrantPackage", "merchant/1", &json!({}), &given);
    let (merchant_id, scene) = (1, Scene::Mall.into());
    let assign = AssignPackageRequest { merchant_id, scene, exposures: 400, ..AssignPackageRequest::default() };
    client.programmes().assign_package(assign).await.expect("assigned");
    let before = json!({"packages unassigned": 1_000, "packages in mall": 0});
    let after = json!({"packages unassigned": 600, "packages in mall": 400});
    tells(&client.last().await, "AssignPackage", "merchant/1", &before, &after);
    let release = ReleasePackageRequest { merchant_id, scene, exposures: 100, ..ReleasePackageRequest::default() };
    client.programmes().release_package(release).await.expect("released");
    let back = json!({"packages unassigned": 700, "packages in mall": 300});
    tells(&client.last().await, "ReleasePackage", "merchant/1", &after, &back);

    client.advance("2023-03-02T05:00:00+08:00").await;
    let moved = client.audit(of_subject("clock")).await.remove(0);
    let time = |time: &str| json!({"state_time": time});
    let (from, to) = (time("2023-03-01T07:00:00.000+08:00"), time("2023-03-02T05:00:00.000+08:00"));
    tells(&moved, "AdvanceClock", "clock", &from, &to);
    client.close("2023-03-01").await.expect("closed");
    let [closed, began] = <[AuditEntry; 2]>::try_from(client.audit(of_subject("day/2023-03-01")).await).expect("two");
    let (last, this) = ("2023-02-28", "2023-03-01");
    tells(&began, "CloseDay", "day/2023-03-01", &json!({"state": "open"}), &json!({"state": "closing"}));
    let (before, after) =
        (json!({"state": "closing", "last_closed": last}), json!({"state": "closed", "last_closed": this}));
    tells(&closed, "Activate", "day/2023-03-01", &before, &after);
    assert!(closed.by_server && !began.by_server && began.peer == "127.0.0.1");
    server.stop().await;
}

#[tokio::test]
async fn bulk_data_is_counted() {
    let server = Server::start().await;
    let client = &server.client;
    client.upsert((1..=40).map(merchant).collect()).await;
    let entry = client.last().await;
    assert_eq!((entry.changes.len(), entry.more_changes), (AUDITED_SUBJECTS, 40 - AUDITED_SUBJECTS as u64));
    assert_eq!(entry.counts, [("profiles".to_owned(), 40)].into());
    assert!(!entry.bulk, "profiles are changes of people and back offices");

    client
        .record(vec![facts(1, "2023-02-01", &[("paid_orders", 3)]), facts(2, "2023-02-01", &[("paid_orders", 3)])])
        .await;
    let few = client.last().await;
    let named: Vec<_> = few.changes.iter().map(|change| (change.subject.as_str(), change.after.as_str())).collect();
    assert_eq!(named, [("merchant/1", ""), ("merchant/2", "")], "few are named, their values are not kept");
    client.record((1..=40).map(|id| facts(id, "2023-02-02", &[("paid_orders", 3)])).collect()).await;
    let many = client.last().await;
    assert_eq!((many.changes.len(), many.counts["facts"], many.bulk), (0, 40, true));

    for sequence in [1, 1] {
        client.profiles.clone().import(tokio_stream::once(import(sequence))).await.expect("imported");
    }
    let imports = client.audit(of_method("Import")).await;
    assert_eq!(imports.len(), 1, "a chunk that was taken before is skipped: {imports:?}");
    assert_eq!((imports[0].changes[0].subject.as_str(), imports[0].peer.as_str()), ("import/night", "127.0.0.1"));
    assert_eq!(
        imports[0].counts,
        [("facts", 2), ("profiles", 1), ("sequence", 1)].map(|(a, b)| (a.to_owned(), b)).into()
    );
    assert_eq!(client.audit(of_subject("import/night")).await, imports);

    client.report("r", vec![shown(1, Scene::Live, 0, 75), shown(2, Scene::Live, 0, 15)]).await;
    client.report("r", vec![shown(1, Scene::Live, 0, 75), shown(2, Scene::Live, 0, 15)]).await;
    let reports = client.audit(of_method("ReportExposures")).await;
    assert_eq!((reports.len(), reports[0].request_id.as_str()), (1, "r"), "a report counts once: {reports:?}");
    assert_eq!((reports[0].counts["rows"], reports[0].counts["exposures"]), (2, 90));

    let changes = client.audit(everything()).await;
    assert!(changes.iter().all(|entry| !entry.bulk), "bulk data comes when it is asked for");
    let all = client.audit(ListAuditEntriesRequest { bulk: true, ..everything() }).await;
    assert_eq!(all.len(), changes.len() + 4);
    assert!(all.is_sorted_by(|one, next| one.revision > next.revision), "newest first, each revision once");
    server.stop().await;
}

#[tokio::test]
async fn refused_and_repeated_requests_leave_no_entry() {
    let server = Server::start().await;
    let (client, mut profiles) = (&server.client, server.client.profiles.clone());
    let request = BatchUpsertMerchantsRequest { request_id: "once".to_owned(), ..named(1, "a") };
    profiles.batch_upsert_merchants(request.clone()).await.expect("taken");
    let before = client.audit(everything()).await;
    assert_eq!(before[0].request_id, "once");
    profiles.batch_upsert_merchants(request).await.expect("the first outcome");
    let reused = BatchUpsertMerchantsRequest { request_id: "once".to_owned(), ..named(2, "b") };
    refusal(profiles.batch_upsert_merchants(reused).await).is_plain(Code::AlreadyExists, "REQUEST_ID_REUSED");
    let unknown = RevokeViolationRequest { violation_id: 5, merchant_id: 1, ..RevokeViolationRequest::default() };
    refusal(profiles.revoke_violation(unknown).await).is_plain(Code::NotFound, "NOT_REGISTERED");
    let mut stale = named(1, "c");
    stale.merchants[0].etag = "1".to_owned();
    profiles.batch_upsert_merchants(stale).await.expect("answered item by item");
    let files = trustflow::policy::embedded().files.into_iter();
    let files = files.map(|(path, content)| trustflow::proto::PolicyFile { path, content }).collect();
    let same = PublishPolicyRequest { files, ..PublishPolicyRequest::default() };
    assert!(client.policies.clone().publish_policy(same).await.expect("taken").into_inner().unchanged);
    assert_eq!(client.audit(everything()).await, before);

    let mut mixed = named(1, "d");
    mixed.merchants.push(Merchant { etag: "1".to_owned(), ..merchant(2) });
    profiles.batch_upsert_merchants(mixed).await.expect("answered item by item");
    let entry = client.last().await;
    tells(&entry, "BatchUpsertMerchants", "merchant/1", &json!({"name": "a"}), &json!({"name": "d"}));
    assert_eq!(entry.counts, [("profiles".to_owned(), 1), ("refused".to_owned(), 1)].into());
    server.stop().await;
}

fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("ASCII"));
    request
}

#[tokio::test]
async fn an_entry_names_who_asked_and_only_admins_read_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let entry = |role: &str| token_entry(&format!("the-{role}"), &format!("tok-{role}"), &[role], "");
    let text: String = ["ingester", "operator", "admin"].map(entry).concat();
    let tokens = write(folder.path(), "tokens.toml", &text);
    let server = Server::start_with(NOW, |settings| settings.tokens = Some(tokens)).await;
    let (mut profiles, mut policies) = (server.client.profiles.clone(), server.client.policies.clone());
    let request = BatchUpsertMerchantsRequest { request_id: "r1".to_owned(), ..named(1, "a") };
    profiles.batch_upsert_merchants(by("tok-ingester", request)).await.expect("taken");
    let (reason, author) = ("incident".to_owned(), "ann".to_owned());
    let switch = SetKillSwitchRequest { on: true, reason, author, ..SetKillSwitchRequest::default() };
    policies.set_kill_switch(by("tok-operator", switch)).await.expect("set");

    let mut admin = server.client.admin.clone();
    let mut list =
        async |request| admin.list_audit_entries(by("tok-admin", request)).await.expect("listed").into_inner();
    let mine = ListAuditEntriesRequest { identity: "token:the-ingester".to_owned(), ..everything() };
    let found = list(mine).await.entries;
    let who: Vec<_> = found.iter().map(|entry| (entry.identity.as_str(), entry.request_id.as_str())).collect();
    assert_eq!(who, [("token:the-ingester", "r1")]);
    let killed = list(of_method("SetKillSwitch")).await.entries.remove(0);
    assert_eq!((killed.identity.as_str(), killed.author.as_str()), ("token:the-operator", "ann (token:the-operator)"));
    assert!(!format!("{found:?}{killed:?}").contains("tok-"), "no secret");
    let status = admin.get_status(by("tok-admin", trustflow::proto::GetStatusRequest {})).await.expect("a status");
    assert_eq!(status.into_inner().kill_switch.expect("on").author, "ann (token:the-operator)");

    for token in ["tok-ingester", "tok-operator"] {
        refusal(admin.list_audit_entries(by(token, everything())).await)
            .is_plain(Code::PermissionDenied, "ROLE_MISSING");
    }
    server.stop().await;
}
