//! `facts import`: facts that are counted already.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::client::Target;
use super::error::CliError;
use super::import::{self, Plan};
use super::input::{self, Content};
use super::merchant::Id;
use super::time::parse_facts_day;
use super::words::parse_target_kind;
use crate::proto::TargetKind;

/// Most counters that the server takes of one target on one day.
const MAX_COUNTERS: usize = 256;

/// What to do with facts.
#[derive(Debug, clap::Subcommand)]
pub(super) enum FactsAction {
    /// Import counters by target and day
    Import(FactsArgs),
}

/// Arguments of `facts import`.
#[derive(Debug, clap::Args)]
pub(super) struct FactsArgs {
    /// JSON lines of `merchant_id`, `date`, `counters`, and for items `target_kind`, `target_id`; plain or gzip; - for stdin
    file: String,
    /// Name of the import, to resume under; follows from the content unless given
    #[arg(long, value_name = "NAME")]
    import_id: Option<String>,
}

/// One line, with the field names of `DayFacts`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    merchant_id: Id,
    date: String,
    counters: BTreeMap<String, u64>,
    #[serde(default)]
    target_kind: Option<String>,
    #[serde(default)]
    target_id: Id,
}

/// A line, checked.
struct Row {
    kind: TargetKind,
    id: u64,
    day: i32,
    counters: BTreeMap<String, u64>,
}

/// Runs an action on facts.
pub(super) async fn run(action: FactsAction, target: &Target) -> Result<(), CliError> {
    let FactsAction::Import(FactsArgs { file, import_id }) = action;
    let (plan, content) = read(&file, import_id)?;
    let report = import::send(target.connect().await?, plan).await?;
    report.print(target.json, &json!({"records": content.records}))
}

/// Reads a file of facts into chunks.
pub(super) fn read(file: &str, import_id: Option<String>) -> Result<(Plan, Content), CliError> {
    let mut rows = Vec::new();
    let content = input::json_lines(file, |line, read: Line| {
        rows.push(check(read).map_err(|problem| CliError::input(file, line, problem))?);
        Ok(())
    })?;
    if rows.is_empty() {
        return Err(CliError::input(file, 0, "no facts; one JSON object per target and day is expected"));
    }
    // A chunk holds one kind of target. The sort is stable: of a day sent twice the later line counts.
    rows.sort_by_key(|row| row.kind);
    let mut plan = Plan::new(import_id.unwrap_or_else(|| format!("facts-{:032x}", content.hash)));
    for row in &rows {
        let cells = row.counters.iter().map(|(name, value)| (name.as_str(), *value));
        plan.facts(row.kind, row.id, row.day, cells);
    }
    Ok((plan, content))
}

fn check(line: Line) -> Result<Row, String> {
    let Line { merchant_id: Id(merchant_id), date, counters, target_kind, target_id: Id(target_id) } = line;
    let kind = match target_kind.as_deref() {
        None => TargetKind::Unspecified,
        Some(text) => parse_target_kind(text)
            .ok_or_else(|| format!("target_kind: {text:?} is none of merchant, product, live_room, short_video"))?,
    };
    let (kind, id) = match kind {
        TargetKind::Unspecified | TargetKind::Merchant if target_id == 0 || target_id == merchant_id => {
            (TargetKind::Merchant, merchant_id)
        }
        TargetKind::Merchant if merchant_id == 0 => (TargetKind::Merchant, target_id),
        TargetKind::Unspecified => return Err("target_id is given without its target_kind".to_owned()),
        TargetKind::Merchant => {
            return Err(format!("target_id {target_id} and merchant_id {merchant_id} name two merchants"));
        }
        TargetKind::Product | TargetKind::LiveRoom | TargetKind::ShortVideo => (kind, target_id),
    };
    if id == 0 {
        let column = if kind == TargetKind::Merchant { "merchant_id" } else { "target_id" };
        return Err(format!("{column}: an id above 0 is expected"));
    }
    if counters.is_empty() || counters.len() > MAX_COUNTERS {
        return Err(format!("counters: 1 to {MAX_COUNTERS} are expected, found {}", counters.len()));
    }
    let day = parse_facts_day(&date).map_err(|problem| format!("date: {problem}"))?;
    Ok(Row { kind, id, day, counters })
}

#[cfg(test)]
mod tests {
    use super::{Line, Row, check};
    use crate::proto::TargetKind;

    fn read(text: &str) -> Result<Row, String> {
        serde_json::from_str::<Line>(text).map_err(|error| error.to_string()).and_then(check)
    }

    #[test]
    fn facts_of_merchants_and_items_are_read() {
        let row = read(r#"{"merchant_id":"18446744073709551615","date":"2018-06-03","counters":{"paid_orders":3}}"#)
            .expect("a row");
        assert_eq!((row.kind, row.id, row.day), (TargetKind::Merchant, u64::MAX, 17_685));
        let row = read(r#"{"target_kind":"product","target_id":9,"date":"2018-06-03","counters":{"reviews":3}}"#)
            .expect("a row");
        assert_eq!((row.kind, row.id, row.counters.get("reviews")), (TargetKind::Product, 9, Some(&3)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, says) in [
            (r#"{"date":"2018-06-03","counters":{"a":1}}"#, "merchant_id: an id above 0"),
            (r#"{"merchant_id":1,"date":"2018-06-03","counters":{}}"#, "counters: 1 to 256"),
            (r#"{"merchant_id":1,"date":"2018-6-3","counters":{"a":1}}"#, "date: "),
            (r#"{"merchant_id":1,"date":"2018-06-03","counters":{"a":-1}}"#, "invalid value"),
            (r#"{"merchant_id":1,"target_id":2,"date":"2018-06-03","counters":{"a":1}}"#, "without its target_kind"),
            (r#"{"merchant_id":1,"target_kind":"shop","date":"2018-06-03","counters":{"a":1}}"#, "target_kind"),
            (r#"{"merchant_id":1,"dates":"2018-06-03","counters":{"a":1}}"#, "unknown field `dates`"),
        ] {
            let problem = read(text).err().expect("an error");
            assert!(problem.contains(says), "{problem}");
        }
    }
}
