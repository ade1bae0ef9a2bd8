//! `exposure report`: exposures that were delivered, from a file.

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::json;

use super::client::Target;
use super::error::CliError;
use super::input;
use super::merchant::Id;
use super::operate::both;
use super::time::parse_instant;
use super::words::{SceneWord, parse_target_kind};
use crate::proto::exposure_service_client::ExposureServiceClient;
use crate::proto::{ExposureRow, ReportExposuresRequest};

/// Rows that the server takes at once.
const MAX_ROWS: usize = 10_000;

/// What to do with exposures.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ExposureAction {
    /// Report exposures that were delivered; each report counts once
    Report(ReportArgs),
}

/// Arguments of `exposure report`.
#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// JSON lines with the fields of `ExposureRow`; `occurred_at` is RFC 3339; plain or gzip; - for stdin
    file: String,
    /// Name of the report; follows from the content unless given, so that a file counts once
    #[arg(long, value_name = "NAME")]
    report_id: Option<String>,
}

/// One line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    target_kind: String,
    target_id: Id,
    #[serde(default)]
    merchant_id: Id,
    scene: String,
    #[serde(default)]
    policy_version: u64,
    #[serde(default)]
    programmes: Id,
    #[serde(default)]
    reservation_ids: Vec<Id>,
    exposures: u64,
    #[serde(default)]
    clicks: u64,
    #[serde(default)]
    orders: u64,
    #[serde(default)]
    gmv_fen: u64,
    occurred_at: String,
}

/// Runs an action on exposures.
pub(super) async fn run(action: ExposureAction, target: &Target) -> Result<(), CliError> {
    let ExposureAction::Report(ReportArgs { file, report_id }) = action;
    let mut rows = Vec::new();
    let content = input::json_lines(&file, |line, read: Line| {
        rows.push(row(read).map_err(|problem| CliError::input(&file, line, problem))?);
        Ok(())
    })?;
    if rows.is_empty() {
        return Err(CliError::input(&file, 0, "no rows; one JSON object per target is expected"));
    }
    let name = report_id.unwrap_or_else(|| format!("exposures-{:032x}", content.hash));
    let mut client = ExposureServiceClient::new(target.connect().await?);
    let (mut revision, mut repeated, mut reports) = (0, 0_u64, 0_u64);
    for rows in rows.chunks(MAX_ROWS) {
        reports += 1;
        let request = ReportExposuresRequest { report_id: format!("{name}-{reports}"), rows: rows.to_vec() };
        let answer = client.report_exposures(request).await.map_err(CliError::rpc("ReportExposures"))?.into_inner();
        revision = answer.revision.max(revision);
        repeated += u64::from(answer.duplicate);
    }
    let records = content.records;
    let value = json!({
        "report_id": name, "rows": records, "reports": reports, "duplicates": repeated, "revision": revision,
    });
    let text = if repeated == reports {
        format!("{records} rows were counted before (revision {revision})")
    } else {
        format!("{records} rows in {reports} reports, {repeated} of them counted before (revision {revision})")
    };
    both(target, &value, &text)
}

fn row(line: Line) -> Result<ExposureRow, String> {
    let kind = parse_target_kind(&line.target_kind).ok_or_else(|| {
        format!("target_kind: {:?} is none of merchant, product, live_room, short_video", line.target_kind)
    })?;
    let scene = SceneWord::from_str(&line.scene.replace('_', "-"), true).map_err(|_| {
        format!("scene: {:?} is none of live, short_video, image_text, search, mall, store", line.scene)
    })?;
    let occurred_at = parse_instant(&line.occurred_at).map_err(|problem| format!("occurred_at: {problem}"))?;
    Ok(ExposureRow {
        target_kind: kind.into(),
        target_id: line.target_id.0,
        merchant_id: line.merchant_id.0,
        scene: scene.wire().into(),
        policy_version: line.policy_version,
        programmes: line.programmes.0,
        reservation_ids: line.reservation_ids.into_iter().map(|Id(id)| id).collect(),
        exposures: line.exposures,
        clicks: line.clicks,
        orders: line.orders,
        gmv_fen: line.gmv_fen,
        occurred_at: Some(occurred_at),
    })
}

#[cfg(test)]
mod tests {
    use super::{Line, row};
    use crate::proto::{ExposureRow, Scene, TargetKind};

    fn read(text: &str) -> Result<ExposureRow, String> {
        serde_json::from_str::<Line>(text).map_err(|error| error.to_string()).and_then(row)
    }

    #[test]
    fn a_line_is_a_row() {
        let text = r#"{"target_kind":"live_room","target_id":"7","scene":"image_text","exposures":3,"clicks":1,
            "programmes":"18446744073709551615","reservation_ids":["5",6],"occurred_at":"2023-02-13T09:00:00+08:00"}"#;
        let row = read(text).expect("a row");
        assert_eq!((row.target_kind(), row.scene()), (TargetKind::LiveRoom, Scene::ImageText));
        assert_eq!((row.target_id, row.programmes, row.reservation_ids.as_slice()), (7, u64::MAX, [5, 6].as_slice()));
        assert_eq!((row.exposures, row.clicks, row.merchant_id), (3, 1, 0));
        assert_eq!(row.occurred_at.map(|time| time.seconds), Some(1_676_250_000));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let time = r#""occurred_at":"2023-02-13T09:00:00+08:00""#;
        for (text, says) in [
            (format!(r#"{{"target_kind":"shop","target_id":1,"scene":"live","exposures":1,{time}}}"#), "target_kind"),
            (format!(r#"{{"target_kind":"product","target_id":1,"scene":"feed","exposures":1,{time}}}"#), "scene"),
            (r#"{"target_kind":"product","target_id":1,"scene":"live","exposures":1}"#.to_owned(), "occurred_at"),
            (format!(r#"{{"target_kind":"product","target_id":1,"scene":"live","views":1,{time}}}"#), "unknown field"),
        ] {
            let problem = read(&text).map(|_| ()).expect_err("an error");
            assert!(problem.contains(says), "{problem}");
        }
    }
}
