//! `allocate`: a slate, as a table; `underserved`: whom retrieval should bring in.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::client::Target;
use super::error::CliError;
use super::out;
use super::table::{Side, Table};
use super::time::instant_text;
use super::words::{KindWord, SceneWord, id_json, listed, programme_bits, short_float};
use crate::proto::admin_service_client::AdminServiceClient;
use crate::proto::scoring_service_client::ScoringServiceClient;
use crate::proto::{
    AllocateRequest, AllocateResponse, GetStatusRequest, ListUnderservedRequest, ListUnderservedResponse, Slot,
    SlotReason, UnderservedMerchant,
};

/// Arguments of `allocate`.
#[derive(Debug, clap::Args)]
pub(super) struct AllocateArgs {
    /// Where the slate would be shown
    #[arg(long)]
    scene: SceneWord,
    /// What the ids name
    #[arg(long)]
    kind: KindWord,
    /// Slots to fill, at most as many as ids
    #[arg(long, value_name = "K")]
    slots: u32,
    /// Fill slots with candidates that are worth nothing, rather than leave them empty
    #[arg(long)]
    fill: bool,
    /// The recommender's own scores, one per id
    #[arg(long, value_delimiter = ',', required = true, value_name = "SCORE")]
    base_score: Vec<f32>,
    /// Owners, one per id, for targets that are not registered
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    merchant: Vec<u64>,
    /// Candidates
    #[arg(required = true, value_name = "ID")]
    ids: Vec<u64>,
}

/// Arguments of `underserved`.
#[derive(Debug, clap::Args)]
pub(super) struct UnderservedArgs {
    /// Where they would be shown
    #[arg(long)]
    scene: SceneWord,
    /// Merchants at most
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
}

/// Allocates and prints. What it charges counts: it is a request like any other.
pub(super) async fn allocate(args: AllocateArgs, target: &Target) -> Result<(), CliError> {
    let lists = [("--base-score", args.base_score.len(), false), ("--merchant", args.merchant.len(), true)];
    for (option, given, may_be_left_out) in lists {
        if given != args.ids.len() && !(given == 0 && may_be_left_out) {
            return Err(CliError::argument(
                option,
                format!("{given} given for {} ids; give one per id", args.ids.len()),
            ));
        }
    }
    let channel = target.connect().await?;
    let status = AdminServiceClient::new(channel.clone()).get_status(GetStatusRequest {}).await;
    let status = status.map_err(CliError::rpc("GetStatus"))?.into_inner();
    let programmes = status.programmes.into_iter().map(|programme| (programme.bit, programme.id)).collect();
    let request = AllocateRequest {
        scene: args.scene.wire().into(),
        target_kind: args.kind.wire().into(),
        target_ids: args.ids,
        merchant_ids: args.merchant,
        base_scores: args.base_score,
        slots: args.slots,
        fill_slots: args.fill,
        ..AllocateRequest::default()
    };
    let answer = ScoringServiceClient::new(channel).allocate(request).await;
    let answer = answer.map_err(CliError::rpc("Allocate"))?.into_inner();
    if target.json {
        return out::json(&slate_json(&answer, &programmes));
    }
    out::result(&slate_text(&answer, args.slots, &programmes))
}

/// Programme ids by bit.
type Programmes = BTreeMap<u32, String>;

fn programme_words(mask: u64, programmes: &Programmes) -> Vec<String> {
    let bits = programme_bits(mask).into_iter();
    bits.map(|bit| programmes.get(&bit).cloned().unwrap_or_else(|| format!("bit {bit}"))).collect()
}

fn reason_word(slot: &Slot) -> &'static str {
    match slot.reason() {
        SlotReason::Organic => "organic",
        SlotReason::Support => "support",
        SlotReason::Guarantee => "guarantee",
        SlotReason::Fill => "fill",
        SlotReason::Unspecified => "",
    }
}

fn slate_text(answer: &AllocateResponse, asked: u32, programmes: &Programmes) -> String {
    let mut table = Table::new(&[
        ("slot", Side::Right),
        ("id", Side::Right),
        ("adjusted", Side::Right),
        ("reason", Side::Left),
        ("charged", Side::Left),
        ("reservation", Side::Right),
        ("counts against", Side::Left),
    ]);
    for (slot, position) in answer.slots.iter().zip(1..) {
        table.row(vec![
            format!("{position}"),
            slot.target_id.to_string(),
            format!("{:.4}", slot.adjusted_score),
            reason_word(slot).to_owned(),
            slot.charged_programme.clone(),
            if slot.reservation_id == 0 { String::new() } else { slot.reservation_id.to_string() },
            listed(&programme_words(slot.programmes, programmes)),
        ]);
    }
    let filled = answer.slots.len();
    let short = if u32::try_from(filled) == Ok(asked) { "" } else { ": show other content in the rest" };
    let AllocateResponse { policy_version, revision, .. } = answer;
    format!("{}\n{filled} of {asked} slots{short}; policy {policy_version}, revision {revision}", table.text())
}

fn slate_json(answer: &AllocateResponse, programmes: &Programmes) -> Value {
    let slots = answer.slots.iter().map(|slot| {
        json!({
            "candidate_index": slot.candidate_index, "target_id": id_json(slot.target_id),
            "adjusted_score": short_float(slot.adjusted_score), "reason": reason_word(slot),
            "charged_programme": slot.charged_programme, "reservation_id": id_json(slot.reservation_id),
            "programmes": programme_words(slot.programmes, programmes), "programmes_mask": id_json(slot.programmes),
        })
    });
    json!({
        "policy_version": answer.policy_version, "revision": answer.revision, "slots": slots.collect::<Vec<_>>(),
    })
}

/// Lists whose guarantees fall behind.
pub(super) async fn underserved(args: UnderservedArgs, target: &Target) -> Result<(), CliError> {
    let request =
        ListUnderservedRequest { scene: args.scene.wire().into(), page_size: args.limit, page_token: String::new() };
    let answer = ScoringServiceClient::new(target.connect().await?).list_underserved(request).await;
    let answer = answer.map_err(CliError::rpc("ListUnderserved"))?.into_inner();
    if target.json {
        return out::json(&json!({
            "merchants": answer.merchants.iter().map(underserved_json).collect::<Vec<_>>(), "revision": answer.revision,
        }));
    }
    out::result(&underserved_text(&answer))
}

fn underserved_text(answer: &ListUnderservedResponse) -> String {
    if answer.merchants.is_empty() {
        return format!("no guarantee falls behind; revision {}", answer.revision);
    }
    let mut table = Table::new(&[
        ("merchant", Side::Right),
        ("programme", Side::Left),
        ("needs", Side::Right),
        ("delivered", Side::Right),
        ("target", Side::Right),
        ("urgency", Side::Right),
        ("until", Side::Left),
    ]);
    for merchant in &answer.merchants {
        table.row(vec![
            merchant.merchant_id.to_string(),
            merchant.programme.clone(),
            merchant.needed_exposures.to_string(),
            merchant.delivered_exposures.to_string(),
            merchant.target_exposures.to_string(),
            format!("{:.2}", merchant.urgency),
            instant_text(merchant.ends_at.as_ref()),
        ]);
    }
    let more = if answer.next_page_token.is_empty() { "" } else { "; there are more" };
    format!("{}\nrevision {}{more}", table.text(), answer.revision)
}

fn underserved_json(merchant: &UnderservedMerchant) -> Value {
    json!({
        "merchant_id": id_json(merchant.merchant_id), "programme": merchant.programme,
        "needed_exposures": merchant.needed_exposures, "delivered_exposures": merchant.delivered_exposures,
        "target_exposures": merchant.target_exposures, "urgency": merchant.urgency,
        "ends_at": instant_text(merchant.ends_at.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::{slate_json, slate_text, underserved_text};
    use crate::proto::{AllocateResponse, ListUnderservedResponse, Slot, UnderservedMerchant};

    #[test]
    fn a_slate_shows_what_is_charged_and_what_is_missing() {
        let charged = Slot {
            candidate_index: 4,
            target_id: 77,
            adjusted_score: 1.25,
            reason: 2,
            charged_programme: "kuai_brand".to_owned(),
            reservation_id: 5_000_000_000,
            programmes: 0b10,
        };
        let organic = Slot { target_id: 78, reason: 1, ..Slot::default() };
        let answer = AllocateResponse { policy_version: 3, revision: 9, slots: vec![charged, organic] };
        let programmes = [(1, "kuai_brand".to_owned())].into();
        let text = slate_text(&answer, 3, &programmes);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains("support  kuai_brand") && lines[1].contains("5000000000"), "{text}");
        assert!(lines[4].starts_with("2 of 3 slots: show other content"), "{text}");
        let value = slate_json(&answer, &programmes);
        assert_eq!(value["slots"][0]["reservation_id"], "5000000000");
        assert_eq!(value["slots"][1]["reason"], "organic");
    }

    #[test]
    fn nobody_underserved_is_said() {
        let mut answer = ListUnderservedResponse { revision: 4, ..ListUnderservedResponse::default() };
        assert_eq!(underserved_text(&answer), "no guarantee falls behind; revision 4");
        let merchant = UnderservedMerchant { merchant_id: 7, urgency: 1.5, ..UnderservedMerchant::default() };
        answer.merchants.push(merchant);
        assert!(underserved_text(&answer).contains("1.50"));
    }
}
