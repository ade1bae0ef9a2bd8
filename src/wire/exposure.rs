//! Reports of exposures.

use tonic::Status;

use super::scoring::{scene, target_kind};
use super::time::timestamp;
use super::validate::Fields;
use crate::domain::{ExposureRow, MerchantId, ReservationId, Timestamp};
use crate::policy::Policy;
use crate::proto;
use crate::traffic::ProgrammeKind;

/// Rows of one report at most.
pub const MAX_EXPOSURE_ROWS: usize = 10_000;
/// Reservations of one report at most: they are applied under one hold of the state's lock.
const MAX_RESERVATIONS: usize = 100_000;
/// Exposures, clicks, orders and fen of one row at most: sums of all that can be sent stay far below 2^64.
const MAX_COUNT: u64 = 1_000_000_000_000_000;
/// Problems after which no more rows are looked at: errors travel in headers of bounded size.
const MAX_PROBLEMS: usize = 20;

/// The rows of a report.
///
/// # Errors
/// `INVALID_ARGUMENT` naming every wrong field, of as many rows as fit.
pub fn exposure_rows(policy: &Policy, request: &proto::ReportExposuresRequest) -> Result<Vec<ExposureRow>, Status> {
    let mut fields = Fields::default();
    let id = request.report_id.len();
    fields.check((1..=128).contains(&id), "report_id", "must have 1 to 128 bytes");
    let count = request.rows.len();
    if count == 0 || count > MAX_EXPOSURE_ROWS {
        fields.wrong("rows", format!("must have 1 to {MAX_EXPOSURE_ROWS} entries, has {count}"));
    }
    let reservations = request.rows.iter().fold(0_usize, |sum, row| sum.saturating_add(row.reservation_ids.len()));
    if reservations > MAX_RESERVATIONS {
        let problem = format!("must have at most {MAX_RESERVATIONS} reservation_ids together, have {reservations}");
        fields.wrong("rows", problem);
        return fields.finish().map(|()| Vec::new());
    }
    let supports = policy.programmes.iter().filter(|programme| programme.kind == ProgrammeKind::Support);
    let supports = supports.fold(0, |bits, programme| bits | programme.mask());
    let mut rows = Vec::with_capacity(count.min(MAX_EXPOSURE_ROWS));
    for (index, message) in request.rows.iter().enumerate().take(MAX_EXPOSURE_ROWS) {
        let row = exposure_row(&mut fields, &format!("rows[{index}]"), message);
        // Bits of an older policy may have been given to others since: `apply` counts what there is.
        let is_serving = row.policy_version == 0 || row.policy_version == policy.version;
        if is_serving && (row.programmes & supports).count_ones() > 1 {
            let names = policy.programmes.iter().filter(|p| row.programmes & supports & p.mask() != 0);
            let names: Vec<&str> = names.map(|programme| programme.id.as_str()).collect();
            let problem =
                format!("an exposure is charged to at most one support programme, not to {}", names.join(", "));
            fields.wrong(&format!("rows[{index}].programmes"), problem);
        }
        rows.push(row);
        if fields.count() >= MAX_PROBLEMS {
            break;
        }
    }
    fields.finish()?;
    Ok(rows)
}

fn exposure_row(fields: &mut Fields, path: &str, row: &proto::ExposureRow) -> ExposureRow {
    let at = |field: &str| format!("{path}.{field}");
    let kind = target_kind(fields, &at("target_kind"), row.target_kind);
    fields.id(&at("target_id"), row.target_id);
    let scene = scene(fields, &at("scene"), row.scene);
    let counts =
        [("exposures", row.exposures), ("clicks", row.clicks), ("orders", row.orders), ("gmv_fen", row.gmv_fen)];
    for (field, count) in counts {
        fields.check(count <= MAX_COUNT, &at(field), "must be at most 10^15");
    }
    // 0 is no reservation: an organic slot has none.
    let reservations: Vec<ReservationId> =
        row.reservation_ids.iter().filter(|id| **id != 0).map(|id| ReservationId(*id)).collect();
    let fits = u64::try_from(reservations.len()).is_ok_and(|count| count <= row.exposures);
    fields.check(fits, &at("reservation_ids"), "must be at most as many as exposures");
    let occurred_at = if let Some(time) = row.occurred_at {
        timestamp(fields, &at("occurred_at"), time)
    } else {
        fields.wrong(&at("occurred_at"), "must be set");
        Timestamp(0)
    };
    ExposureRow {
        kind,
        target: row.target_id,
        merchant: (row.merchant_id != 0).then_some(MerchantId(row.merchant_id)),
        scene,
        policy_version: row.policy_version,
        programmes: row.programmes,
        reservations,
        exposures: row.exposures,
        clicks: row.clicks,
        orders: row.orders,
        gmv_fen: row.gmv_fen,
        occurred_at,
    }
}
