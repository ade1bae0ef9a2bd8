//! `merchant get`, `list` and `upsert`.

use prost_types::FieldMask;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::client::Target;
use super::error::{CliError, describe_item};
use super::operate::{both, listing};
use super::table::{Side, Table};
use super::time::{instant_text, parse_instant};
use super::words::{id_json, listed, merchant_kind_word, parse_merchant_kind};
use super::{input, out};
use crate::proto::profile_service_client::ProfileServiceClient;
use crate::proto::{
    BatchUpsertMerchantsRequest, Enrolment, GetMerchantRequest, ListMerchantsRequest, Merchant, MerchantKind,
};

/// Merchants in one call.
const BATCH: usize = 1_000;
/// Item errors shown.
const SHOWN_ERRORS: usize = 20;

/// What to do with merchants.
#[derive(Debug, clap::Subcommand)]
pub(super) enum MerchantAction {
    /// Show one merchant
    Get {
        /// Its id
        #[arg(value_name = "ID")]
        merchant_id: u64,
    },
    /// List merchants in order of id; with --json one object per line, as upsert takes them
    List {
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Create or update merchants
    Upsert(UpsertArgs),
}

/// Arguments of `merchant upsert`.
#[derive(Debug, clap::Args)]
pub(super) struct UpsertArgs {
    /// JSON lines with the field names of the proto, times as RFC 3339, plain or gzip; - for stdin
    #[arg(long)]
    file: String,
    /// Change these fields only; every field is replaced unless given
    #[arg(long, value_delimiter = ',', value_name = "FIELD")]
    update_mask: Vec<String>,
    /// Repeating a request id answers the first outcome
    #[arg(long, default_value = "")]
    request_id: String,
}

/// Runs an action on merchants.
pub(super) async fn run(action: MerchantAction, target: &Target) -> Result<(), CliError> {
    match action {
        MerchantAction::Get { merchant_id } => {
            let request = GetMerchantRequest { merchant_id, min_revision: 0 };
            let answer = ProfileServiceClient::new(target.connect().await?).get_merchant(request).await;
            let merchant = answer.map_err(CliError::rpc("GetMerchant"))?.into_inner().merchant;
            let merchant = merchant.ok_or(CliError::Answer { call: "GetMerchant", missing: "the merchant" })?;
            both(target, &merchant_json(&merchant), &merchant_text(&merchant))
        }
        MerchantAction::List { limit } => list(limit, target).await,
        MerchantAction::Upsert(args) => upsert(args, target).await,
    }
}

fn merchant_text(merchant: &Merchant) -> String {
    let enrolments = merchant.enrolments.iter().map(|enrolment| format!("{} ({})", enrolment.list, enrolment.date));
    let lines = [
        ("merchant", format!("{} {}", merchant.merchant_id, merchant.name)),
        ("kind", merchant_kind_word(merchant.kind())),
        ("opened", instant_text(merchant.opened_at.as_ref())),
        ("categories", listed(&merchant.categories)),
        ("region", merchant.region.clone()),
        ("origin belt", merchant.origin_belt.clone()),
        ("fans", merchant.fan_count.to_string()),
        ("service provider", merchant.service_provider_id.to_string()),
        ("tags", listed(&merchant.tags)),
        ("enrolments", listed(&enrolments.collect::<Vec<_>>())),
        (
            "punished before",
            if merchant.prior_identity_violation { "yes, under another identity" } else { "no" }.to_owned(),
        ),
        ("revision", merchant.revision.to_string()),
        ("etag", merchant.etag.clone()),
    ];
    listing(&lines)
}

async fn list(limit: usize, target: &Target) -> Result<(), CliError> {
    let mut client = ProfileServiceClient::new(target.connect().await?);
    let mut table = Table::new(&[
        ("id", Side::Right),
        ("name", Side::Left),
        ("kind", Side::Left),
        ("region", Side::Left),
        ("opened", Side::Left),
        ("fans", Side::Right),
        ("categories", Side::Left),
    ]);
    let mut left = limit;
    let mut page_token = String::new();
    while left > 0 {
        let page_size = u32::try_from(left.min(BATCH)).unwrap_or(u32::MAX);
        let page = client.list_merchants(ListMerchantsRequest { page_size, page_token }).await;
        let page = page.map_err(CliError::rpc("ListMerchants"))?.into_inner();
        for merchant in page.merchants.iter().take(left) {
            if target.json {
                out::result(&merchant_json(merchant).to_string())?;
            } else {
                table.row(list_cells(merchant));
            }
        }
        left = left.saturating_sub(page.merchants.len());
        page_token = page.next_page_token;
        if page_token.is_empty() || page.merchants.is_empty() {
            break;
        }
    }
    if target.json { Ok(()) } else { out::result(&table.text()) }
}

fn list_cells(merchant: &Merchant) -> Vec<String> {
    let opened = instant_text(merchant.opened_at.as_ref());
    let day = opened.split_once('T').map_or(opened.as_str(), |(day, _)| day);
    vec![
        merchant.merchant_id.to_string(),
        merchant.name.clone(),
        merchant_kind_word(merchant.kind()),
        merchant.region.clone(),
        day.to_owned(),
        merchant.fan_count.to_string(),
        listed(&merchant.categories),
    ]
}

/// Nothing is sent before the whole file has been read.
/// Reads a file of merchants, each with its line.
pub(super) fn read(file: &str) -> Result<(Vec<Merchant>, Vec<u64>), CliError> {
    let mut merchants = Vec::new();
    let mut lines = Vec::new();
    input::json_lines(file, |line, read: Line| {
        merchants.push(read.merchant().map_err(|problem| CliError::input(file, line, problem))?);
        lines.push(line);
        Ok(())
    })?;
    if merchants.is_empty() {
        return Err(CliError::input(file, 0, "no merchants; one JSON object per merchant is expected"));
    }
    Ok((merchants, lines))
}

async fn upsert(args: UpsertArgs, target: &Target) -> Result<(), CliError> {
    let UpsertArgs { file, update_mask, request_id } = args;
    let (merchants, lines) = read(&file)?;
    let mask = (!update_mask.is_empty()).then_some(FieldMask { paths: update_mask });
    let mut client = ProfileServiceClient::new(target.connect().await?);
    let (mut refused, mut revision) = (0_u64, 0);
    for (number, (batch, lines)) in merchants.chunks(BATCH).zip(lines.chunks(BATCH)).enumerate() {
        let request_id = if request_id.is_empty() { String::new() } else { format!("{request_id}-{number}") };
        let request = BatchUpsertMerchantsRequest { request_id, merchants: batch.to_vec(), update_mask: mask.clone() };
        let answer = client.batch_upsert_merchants(request).await;
        let answer = answer.map_err(CliError::rpc("BatchUpsertMerchants"))?.into_inner();
        revision = answer.revision;
        for item in answer.results {
            let Some(status) = item.status.filter(|status| status.code != 0) else { continue };
            refused += 1;
            if refused <= u64::try_from(SHOWN_ERRORS).unwrap_or(u64::MAX) {
                let line =
                    usize::try_from(item.index).ok().and_then(|index| lines.get(index)).copied().unwrap_or_default();
                out::remark(&CliError::input(&file, line, describe_item(&status)).to_string());
            }
        }
    }
    let total = u64::try_from(merchants.len()).unwrap_or(u64::MAX);
    let taken = total.saturating_sub(refused);
    let value = json!({"accepted_items": taken, "rejected_items": refused, "revision": revision});
    both(target, &value, &format!("{taken} merchants taken, {refused} refused (revision {revision})"))?;
    if refused > 0 { Err(CliError::ItemsRefused { refused, total }) } else { Ok(()) }
}

/// A merchant with the field names of the proto.
fn merchant_json(merchant: &Merchant) -> Value {
    let enrolments =
        merchant.enrolments.iter().map(|enrolment| json!({"list": enrolment.list, "date": enrolment.date}));
    json!({
        "merchant_id": id_json(merchant.merchant_id), "name": merchant.name, "kind": merchant_kind_word(merchant.kind()),
        "opened_at": merchant.opened_at.as_ref().map(|opened_at| instant_text(Some(opened_at))),
        "categories": merchant.categories, "region": merchant.region, "origin_belt": merchant.origin_belt,
        "fan_count": merchant.fan_count, "service_provider_id": id_json(merchant.service_provider_id),
        "tags": merchant.tags, "prior_identity_violation": merchant.prior_identity_violation,
        "enrolments": enrolments.collect::<Vec<_>>(), "revision": merchant.revision, "etag": merchant.etag,
    })
}

/// A 64-bit id, as a number or as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Id(pub(super) u64);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let id = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        id.map(Id).ok_or_else(|| serde::de::Error::custom(format!("expected an id of 64 bits, found {value}")))
    }
}

/// One line of an upsert. What `merchant list --json` prints reads back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    merchant_id: Id,
    #[serde(default)]
    name: String,
    kind: Option<String>,
    opened_at: Option<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    region: String,
    #[serde(default)]
    origin_belt: String,
    #[serde(default)]
    fan_count: u64,
    #[serde(default)]
    service_provider_id: Id,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    prior_identity_violation: bool,
    #[serde(default)]
    enrolments: Vec<EnrolmentLine>,
    /// Output only; taken so that printed merchants read back.
    #[serde(default, rename = "revision")]
    _revision: u64,
    #[serde(default)]
    etag: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnrolmentLine {
    list: String,
    date: String,
}

impl Line {
    fn merchant(self) -> Result<Merchant, String> {
        let kind = match self.kind.as_deref() {
            None => MerchantKind::Unspecified,
            Some(text) => parse_merchant_kind(text)
                .ok_or_else(|| format!("kind: {text:?} is none of ordinary, kuai_brand, brand"))?,
        };
        let opened_at = self.opened_at.as_deref().map(parse_instant).transpose();
        let enrolments = self.enrolments.into_iter().map(|EnrolmentLine { list, date }| Enrolment { list, date });
        Ok(Merchant {
            merchant_id: self.merchant_id.0,
            name: self.name,
            kind: kind.into(),
            opened_at: opened_at.map_err(|problem| format!("opened_at: {problem}"))?,
            categories: self.categories,
            region: self.region,
            origin_belt: self.origin_belt,
            fan_count: self.fan_count,
            service_provider_id: self.service_provider_id.0,
            tags: self.tags,
            prior_identity_violation: self.prior_identity_violation,
            revision: 0,
            etag: self.etag,
            enrolments: enrolments.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, merchant_json};
    use crate::proto::{Enrolment, Merchant, MerchantKind};
    use prost_types::Timestamp;

    fn read(text: &str) -> Result<Merchant, String> {
        serde_json::from_str::<Line>(text).map_err(|error| error.to_string()).and_then(Line::merchant)
    }

    #[test]
    fn a_printed_merchant_reads_back() {
        let merchant = Merchant {
            merchant_id: u64::MAX,
            name: "信流".to_owned(),
            kind: MerchantKind::KuaiBrand.into(),
            opened_at: Some(Timestamp { seconds: 1_494_001_511, nanos: 500_000_000 }),
            categories: vec!["toys".to_owned()],
            region: "SP".to_owned(),
            origin_belt: "belt".to_owned(),
            fan_count: 5,
            service_provider_id: 6,
            tags: vec!["benchmark".to_owned()],
            prior_identity_violation: true,
            revision: 0,
            etag: "7-9".to_owned(),
            enrolments: vec![Enrolment { list: "doujin".to_owned(), date: "2024-01-01".to_owned() }],
        };
        assert_eq!(read(&merchant_json(&merchant).to_string()), Ok(merchant));
    }

    #[test]
    fn few_fields_are_enough_and_wrong_ones_refused() {
        assert_eq!(read(r#"{"merchant_id":5}"#), Ok(Merchant { merchant_id: 5, ..Merchant::default() }));
        for (text, says) in [
            (r#"{"name":"a"}"#, "missing field `merchant_id`"),
            (r#"{"merchant_id":-1}"#, "expected an id"),
            (r#"{"merchant_id":5,"fans":3}"#, "unknown field `fans`"),
            (r#"{"merchant_id":5,"kind":"shop"}"#, "kind: "),
            (r#"{"merchant_id":5,"opened_at":"soon"}"#, "opened_at: "),
        ] {
            let problem = read(text).expect_err("an error");
            assert!(problem.contains(says), "{problem}");
        }
    }
}
