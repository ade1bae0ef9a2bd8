//! What is encoded comes back; what was never encoded is refused by name, and never panics.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::{DecodeProblem, arbitrary, audit_entry, audit_row, pb};
use super::{
    decode_command, decode_day_facts, decode_outcome, decode_policy_text, decode_profile, decode_rejection,
    decode_right, decode_violation, encode_command, encode_day_facts, encode_outcome, encode_policy_text,
    encode_profile, encode_rejection, encode_right, encode_violation,
};
use crate::domain::{Body, Command, CounterId, Day, DayFacts, FactRow, MerchantId, Subject, Timestamp};

proptest! {
    #[test]
    fn commands_come_back(command in arbitrary::command()) {
        prop_assert_eq!(decode_command(&encode_command(&command)), Ok(command));
    }

    #[test]
    fn outcomes_come_back(outcome in arbitrary::outcome()) {
        prop_assert_eq!(decode_outcome(&encode_outcome(&outcome)), Ok(outcome));
    }

    #[test]
    fn rejections_come_back(rejection in arbitrary::rejection()) {
        prop_assert_eq!(decode_rejection(&encode_rejection(&rejection)), Ok(rejection));
    }

    #[test]
    fn profiles_come_back(profile in arbitrary::profile()) {
        prop_assert_eq!(decode_profile(&encode_profile(&profile)), Ok(profile));
    }

    #[test]
    fn facts_come_back(facts in arbitrary::day_facts()) {
        prop_assert_eq!(decode_day_facts(&encode_day_facts(&facts)), Ok(facts));
    }

    #[test]
    fn violations_come_back(violation in arbitrary::violation()) {
        prop_assert_eq!(decode_violation(&encode_violation(&violation)), Ok(violation));
    }

    #[test]
    fn rights_come_back(right in arbitrary::right()) {
        prop_assert_eq!(decode_right(&encode_right(&right)), Ok(right));
    }

    #[test]
    fn policy_texts_come_back(text in arbitrary::policy_text()) {
        prop_assert_eq!(decode_policy_text(&encode_policy_text(&text)), Ok(text));
    }

    #[test]
    fn audit_entries_come_back(entry in arbitrary::audit_entry(), number in any::<u64>()) {
        let message = audit_row(&entry, number);
        let read = pb::AuditRow::decode(message.encode_to_vec().as_slice());
        let read = read.map_err(DecodeProblem::from).and_then(|row| audit_entry(row, entry.revision, entry.is_bulk));
        prop_assert_eq!(read, Ok(entry));
    }

    #[test]
    fn texts_that_the_first_programs_logged_are_read(text in arbitrary::policy_text()) {
        let old = pb::PolicyText::from(&text).encode_to_vec();
        let read = pb::PublishPolicy::decode(old.as_slice()).map(crate::domain::PolicyPublish::from);
        prop_assert_eq!(read, Ok(text.into()));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode_command(&bytes);
        let _ = decode_outcome(&bytes);
        let _ = decode_profile(&bytes);
        let _ = decode_day_facts(&bytes);
        let _ = decode_violation(&bytes);
    }

    #[test]
    fn flipped_and_cut_commands_never_panic(
        command in arbitrary::command(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode_command(&command);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let _ = decode_command(&bytes);
            bytes.truncate(cut.index(bytes.len()));
            let _ = decode_command(&bytes);
        }
    }
}

fn facts_command(rows: pb::FactRows) -> Vec<u8> {
    pb::Command { body: Some(pb::command::Body::RecordFacts(rows)), ..pb::Command::default() }.encode_to_vec()
}

#[test]
fn missing_parts_are_named() {
    fn missing<T>(field: &'static str) -> Result<T, DecodeProblem> {
        Err(DecodeProblem::Missing { field })
    }
    assert_eq!(decode_command(&[]), missing("command.body"));
    assert_eq!(decode_outcome(&[]), missing("outcome.kind"));
    assert_eq!(decode_profile(&[]), missing("profile.kind"));
    assert_eq!(decode_violation(&[]), missing("violation.decision"));
    assert_eq!(decode_rejection(&[]), missing("rejection.kind"));
    let upsert = pb::command::Body::UpsertProfiles(pb::UpsertProfiles {
        profiles: vec![pb::Upsert { profile: None, expected_revision: None }],
        mask: None,
    });
    let command = pb::Command { body: Some(upsert), ..pb::Command::default() }.encode_to_vec();
    assert_eq!(decode_command(&command), missing("upsert.profile"));
}

#[test]
fn uneven_columns_are_named() {
    // Varints below 128 are single bytes; 4 is 2 in zigzag code.
    let even = pb::FactRows {
        kinds: vec![],
        ids: vec![1, 2],
        day_steps: vec![4, 4],
        shapes: vec![2, 0],
        counters: vec![7],
        values: vec![10, 11],
    };
    assert!(decode_command(&facts_command(even.clone())).is_ok());
    let cases: [(&str, pb::FactRows); 9] = [
        ("fact_rows.kinds is missing", pb::FactRows { kinds: vec![1], ..even.clone() }),
        ("fact_rows.kinds name a kind that facts are not about", pb::FactRows { kinds: vec![5, 5], ..even.clone() }),
        ("fact_rows.day_steps is missing", pb::FactRows { day_steps: vec![4], ..even.clone() }),
        (
            "fact_rows.day_steps lead to no day",
            pb::FactRows { day_steps: [vec![254; 5], vec![1, 4]].concat(), ..even.clone() },
        ),
        ("fact_rows go on after the last row", pb::FactRows { shapes: vec![2, 0, 0], ..even.clone() }),
        ("fact_rows.counters is missing", pb::FactRows { shapes: vec![9, 0], ..even.clone() }),
        ("fact_rows.counters holds 65536, out of range", pb::FactRows { counters: vec![128, 128, 4], ..even.clone() }),
        ("fact_rows.values is missing", pb::FactRows { values: vec![10], ..even.clone() }),
        ("fact_rows.values holds no number where it should", pb::FactRows { values: vec![10, 200], ..even }),
    ];
    for (problem, rows) in cases {
        let error = decode_command(&facts_command(rows)).expect_err(problem);
        assert_eq!(error.to_string(), problem);
    }
}

#[test]
fn rows_of_one_shape_are_small() {
    let row = |id| FactRow {
        subject: Subject::Merchant(MerchantId(id)),
        day: Day(19_400),
        facts: DayFacts::new((0..12).map(|counter| (CounterId(counter), 100)).collect()),
    };
    let body = Body::RecordFacts { rows: (1..=1_000).map(row).collect() };
    let command = Command { stamp: Timestamp(1), node: 1, semantics: 1, request: None, body };
    let bytes = encode_command(&command).len();
    assert!(bytes < 1_000 * 23, "id 8, day 1, shape 1 and 12 values of one byte: {bytes}");
}

/// Programs before semantics 3 named a caller only where there was a request id, and never an address.
#[test]
fn commands_of_earlier_programs_are_read() {
    let request = pb::RequestKey { identity: "token:a".to_owned(), request_id: "r".to_owned(), ..Default::default() };
    let tick = Some(pb::command::Body::Tick(pb::Tick {}));
    let old = pb::Command { stamp: 5, node: 1, semantics: 2, request: Some(request), body: tick };
    let read = decode_command(&old.encode_to_vec()).expect("reads").request.expect("somebody");
    assert_eq!((read.identity.as_str(), read.peer.as_str(), read.has_id()), ("token:a", "", true));
    let switch = pb::command::Body::SetKillSwitch(pb::SetKillSwitch { is_on: true, ..Default::default() });
    let old = pb::Command { body: Some(switch), request: None, ..old };
    let read = decode_command(&old.encode_to_vec()).expect("reads");
    let body = Body::SetKillSwitch { is_on: true, author: String::new(), reason: String::new() };
    assert_eq!((read.request, read.body), (None, body));
}
