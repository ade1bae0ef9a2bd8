//! Inputs that fuzzing begins with: one or more of every kind, made of examples that other tests use.

use prost::Message;
use trustflow::domain::{
    Body, Command, CounterId, Day, DayFacts, Decision, FactRow, HeldRight, MerchantId, Outcome, ProfileKey,
    ProgrammeChange, ReportOutcome, RequestKey, SEMANTICS, Subject, Timestamp, Violation,
};
use trustflow::policy;
use trustflow::proto::{
    AllocateRequest, AllocateResponse, BatchUpsertMerchantsRequest, DayFacts as DayFactsMessage, Enrolment,
    ExposureRow, FactColumns, ImportRequest, Merchant, PolicyFile, PublishPolicyRequest, RecordFactsRequest,
    RecordViolationRequest, ReportExposuresRequest, ScoreRequest, ScoreResponse, SetRightsRequest,
};
use trustflow::record::pb::backup_frame::Part;
use trustflow::record::{encode_command, encode_outcome, pb};

use crate::targets::{KEYSPACES, MESSAGES, PATHS};

const BACKUP: &[u8] = include_bytes!("../fixtures/format_1.backup");
const MAGIC: &[u8] = b"trustflow backup 1\n";
/// Rows of each keyspace that become seeds, and their greatest length.
const ROWS: usize = 2;
const ROW_BYTES: usize = 2_048;

/// Bytes behind a first byte.
fn chosen(first: usize, rest: &[u8]) -> Vec<u8> {
    [&[u8::try_from(first).expect("few")], rest].concat()
}

fn position(names: &[&str], name: &str) -> usize {
    names.iter().position(|other| *other == name).expect("a name that is there")
}

fn score_request() -> ScoreRequest {
    ScoreRequest {
        request_id: "快".to_owned(),
        scene: 1,
        target_kind: 1,
        target_ids: (1..20).collect(),
        merchant_ids: (101..120).collect(),
        base_scores: (1..20_u8).map(f32::from).collect(),
        min_revision: 3,
        columns: vec![1, 2],
    }
}

/// Seeds of the codec of the hot path.
pub(crate) fn hot_codec() -> Vec<Vec<u8>> {
    let ScoreRequest { target_ids, merchant_ids, base_scores, .. } = score_request();
    let allocate = AllocateRequest { target_ids, merchant_ids, base_scores, slots: 3, ..AllocateRequest::default() };
    let response = ScoreResponse {
        revision: 9,
        trust_scores: vec![1.0, f32::NAN],
        boost_weights: vec![0.5; 9],
        programmes: vec![u64::MAX, 1],
        labels: vec![1, 300],
        ..ScoreResponse::default()
    };
    // Columns that are not packed, twice, or of a length that no number has.
    let unpacked =
        [[&[0x21][..], &7_u64.to_le_bytes()].concat(), vec![0x22, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0x22, 3, 1, 2, 3]];
    let messages = [
        score_request().encode_to_vec(),
        allocate.encode_to_vec(),
        response.encode_to_vec(),
        AllocateResponse::default().encode_to_vec(),
        unpacked.concat(),
    ];
    messages.iter().flat_map(|message| [chosen(0, message), chosen(message.len() / 2, message)]).collect()
}

/// Seeds of requests.
pub(crate) fn rpc_messages() -> Vec<Vec<u8>> {
    let merchant = Merchant {
        merchant_id: 5,
        name: "店".to_owned(),
        opened_at: Some(prost_types::Timestamp { seconds: 1_600_000_000, nanos: 1 }),
        categories: vec!["womens_wear".to_owned()],
        enrolments: vec![Enrolment { list: "doujin".to_owned(), date: "2023-02-01".to_owned() }],
        etag: "1f".to_owned(),
        ..Merchant::default()
    };
    let mask = prost_types::FieldMask { paths: vec!["name".to_owned(), "tags".to_owned()] };
    let merchants = BatchUpsertMerchantsRequest {
        request_id: "r".to_owned(),
        merchants: vec![merchant.clone()],
        update_mask: Some(mask),
    };
    let facts = DayFactsMessage {
        merchant_id: 5,
        date: "2023-02-27".to_owned(),
        counters: [("paid_orders".to_owned(), 3)].into(),
        ..DayFactsMessage::default()
    };
    let row = ExposureRow {
        target_kind: 1,
        target_id: 51,
        scene: 1,
        programmes: 3,
        exposures: 10,
        occurred_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        ..ExposureRow::default()
    };
    let columns = FactColumns {
        ids: vec![5, 6],
        days: vec![19_400, 19_401],
        cell_counts: vec![1, 2],
        counters: vec![0, 0, 1],
        values: vec![1, 2, 3],
        counter_names: vec!["paid_orders".to_owned(), "bad_orders".to_owned()],
        ..FactColumns::default()
    };
    let import = ImportRequest {
        import_id: "i".to_owned(),
        sequence: 1,
        merchants: vec![merchant],
        facts: Some(columns),
        ..ImportRequest::default()
    };
    let violation = RecordViolationRequest {
        violation_id: 1,
        merchant_id: 5,
        r#type: "ban".to_owned(),
        occurred_at: Some(prost_types::Timestamp { seconds: 1_600_000_000, nanos: 0 }),
        ..RecordViolationRequest::default()
    };
    let held = trustflow::proto::HeldRight { right: "seven_day_no_reason".to_owned(), ..Default::default() };
    let rights = SetRightsRequest { merchant_id: 5, rights: vec![held], ..SetRightsRequest::default() };
    let file = PolicyFile { path: "score.toml".to_owned(), content: "cache_ttl_ms = 1".to_owned() };
    let publish = PublishPolicyRequest { files: vec![file], etag: "7".to_owned(), ..PublishPolicyRequest::default() };
    let report = ReportExposuresRequest { report_id: "r".to_owned(), rows: vec![row] };
    let facts = RecordFactsRequest { facts: vec![facts], ..RecordFactsRequest::default() };
    let full = [
        ("ScoreRequest", score_request().encode_to_vec()),
        ("BatchUpsertMerchantsRequest", merchants.encode_to_vec()),
        ("ReportExposuresRequest", report.encode_to_vec()),
        ("RecordFactsRequest", facts.encode_to_vec()),
        ("ImportRequest", import.encode_to_vec()),
        ("RecordViolationRequest", violation.encode_to_vec()),
        ("SetRightsRequest", rights.encode_to_vec()),
        ("PublishPolicyRequest", publish.encode_to_vec()),
    ];
    let full = full.iter().map(|(name, message)| chosen(position(MESSAGES, name), message));
    // Of the others the first four fields: a text or a number each.
    let texts = [0x0a, 1, b'5', 0x12, 1, b'5', 0x1a, 1, b'5'];
    let numbers = [0x08, 5, 0x10, 1, 0x18, 2, 0x20, 1];
    full.chain((0..MESSAGES.len()).flat_map(|which| [chosen(which, &texts), chosen(which, &numbers)])).collect()
}

/// Seeds of policies: the shipped files, as far as they are short, and a programme of the small policy.
pub(crate) fn policy_text() -> Vec<Vec<u8>> {
    let mut text = policy::embedded();
    text.files.extend(crate::targets::small_policy(0).files);
    let short = text.files.iter().filter(|(_, content)| content.len() < 4_000);
    let path = |path: &str| PATHS.iter().position(|other| *other == path).unwrap_or(PATHS.len() - 1);
    short.map(|(name, content)| chosen(path(name), content.as_bytes())).collect()
}

/// Seeds of expressions.
pub(crate) fn expressions() -> Vec<Vec<u8>> {
    let texts = [
        "true",
        "merchant.fan_count >= 250000 && merchant.days_since_opening < 30",
        "250000 <= merchant.fan_count || !(merchant.kind == \"brand\")",
        "merchant.days_since_enrolment[\"club\"] <= 30",
        "\"live\" in merchant.packages",
        "facts.paid_30d > 5 && facts.bad_30d / facts.paid_30d < 0.01",
        "trust.score >= 60 && trust.tier != \"standard\"",
        "merchant.region in [\"a\", 'b']",
        "((((1e5 < merchant.fan_count))))",
        "item.tags != \"x\" ? 1 : 2 // no",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Seeds of files to import.
pub(crate) fn import_files() -> Vec<Vec<u8>> {
    let order = r#"{"order_id":"a","item_no":1,"seller_id":"s","seller_ix":5,"customer_uid":"c","customer_state":"SP","product_id":"p","category":null,"price":39.99,"status":"delivered","purchase_ts":1500000000,"approved_ts":1500000001,"carrier_ts":null,"ship_limit_ts":1500100000,"delivered_ts":null,"estimated_ts":1500200000,"review_score":5,"review_low":false}"#;
    let other = order.replace(r#""item_no":1"#, r#""item_no":2"#).replace("39.99", "1e9");
    let facts = r#"{"merchant_id":"18446744073709551615","date":"2018-06-03","counters":{"paid_orders":3}}
{"target_kind":"product","target_id":9,"date":"2018-06-03","counters":{"reviews":3}}"#;
    let merchants = r#"{"merchant_id":5,"name":"x","kind":"brand","opened_at":"2020-01-01T00:00:00+08:00","categories":["a"],"enrolments":[{"list":"doujin","date":"2020-01-01"}]}"#;
    let sellers = r#"{"seller_ix":5,"seller_state":"SP","seller_city":"x"}"#;
    let mapping = include_str!("../../src/cli/olist.toml");
    let orders = format!("{order}\n{other}\n");
    let packed = {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(facts.as_bytes()).expect("packed");
        encoder.finish().expect("packed")
    };
    let plain = [(0, facts), (1, merchants), (2, sellers), (3, mapping), (4, orders.as_str())];
    plain.iter().map(|(kind, text)| chosen(*kind, text.as_bytes())).chain([chosen(0, &packed)]).collect()
}

/// The frames of the backup that an earlier release took.
fn frames() -> Vec<Vec<u8>> {
    let mut rest = BACKUP.strip_prefix(MAGIC).expect("a backup");
    let mut frames = Vec::new();
    while let [a, b, c, d, behind @ ..] = rest {
        let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).expect("short");
        let (message, behind) = behind.split_at(length);
        frames.push(message.to_vec());
        rest = behind.get(8..).unwrap_or_default();
    }
    frames
}

/// Rows of every keyspace of that backup.
fn rows() -> Vec<(usize, Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    for frame in frames() {
        let frame = pb::BackupFrame::decode(frame.as_slice()).expect("a frame");
        let Some(Part::Rows(part)) = frame.part else { continue };
        let which = position(&KEYSPACES, &part.keyspace);
        let short = part.keys.into_iter().zip(part.values).filter(|(_, value)| value.len() < ROW_BYTES);
        // Rows of `meta` are all different.
        let wanted = if part.keyspace == "meta" { usize::MAX } else { ROWS };
        rows.extend(short.take(wanted).map(|(key, value)| (which, key, value)));
    }
    rows
}

/// Seeds of rows.
pub(crate) fn store_rows() -> Vec<Vec<u8>> {
    let row = |(which, key, value): (usize, Vec<u8>, Vec<u8>)| {
        let length = [u8::try_from(key.len()).expect("short")];
        chosen(which, &[&length, key.as_slice(), &value].concat())
    };
    rows().into_iter().map(row).collect()
}

/// Seeds of log entries.
pub(crate) fn log_entries() -> Vec<Vec<u8>> {
    let facts = DayFacts::new(vec![(CounterId(1), 7), (CounterId(3), u64::MAX)]);
    let violation = Violation {
        id: 1,
        merchant: MerchantId(5),
        kind: "ban".to_owned(),
        item: None,
        occurred_at: Timestamp(1),
        effective_from: Timestamp(2),
        effective_until: Some(Timestamp(3)),
        order: None,
        decision: Decision::Applied,
        revoked: false,
    };
    let (programme, author, reason) = ("push".to_owned(), "a".to_owned(), "r".to_owned());
    let right = HeldRight { right: "x".into(), from: Timestamp(1), until: None };
    let bodies = [
        Body::Tick,
        Body::CloseDay { day: Day(19_400) },
        Body::Activate { began: 7 },
        Body::RecordFacts { rows: vec![FactRow { subject: Subject::Merchant(MerchantId(5)), day: Day(1), facts }] },
        Body::RecordViolation(violation),
        Body::SetRights { merchant: MerchantId(5), rights: vec![right] },
        Body::DeleteProfile { key: ProfileKey::Merchant(MerchantId(5)), expected_revision: Some(3) },
        Body::ChangeProgramme { programme, change: ProgrammeChange::Pause, expected_revision: None, author, reason },
    ];
    let request = RequestKey {
        identity: "token:a".to_owned(),
        peer: "10.0.0.7".to_owned(),
        method: "RecordFacts".to_owned(),
        request_id: "1".to_owned(),
        payload_hash: u128::MAX,
    };
    let command =
        |body| Command { stamp: Timestamp(9), node: 1, semantics: SEMANTICS, request: Some(request.clone()), body };
    let commands = bodies.into_iter().map(|body| encode_command(&command(body)));
    let outcomes = [Outcome::Done, Outcome::Report(ReportOutcome::default())];
    commands.chain(outcomes.iter().map(encode_outcome)).map(|bytes| chosen(1, &bytes)).collect()
}

/// Seeds of backups: one of a few rows, which its footer does not fit, and its beginning as it stands.
pub(crate) fn backup_files() -> Vec<Vec<u8>> {
    let frame = |message: &[u8]| [&u16::try_from(message.len()).unwrap_or(0).to_be_bytes(), message].concat();
    let short: Vec<Vec<u8>> = frames().into_iter().filter(|message| message.len() < ROW_BYTES).collect();
    let framed: Vec<u8> = short.iter().flat_map(|message| frame(message)).collect();
    vec![chosen(1, &framed), chosen(0, BACKUP.get(..1_024).expect("long enough"))]
}
