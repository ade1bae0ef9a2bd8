//! Words of allocation ⇄ protobuf.

use super::{DecodeProblem, known, pb, required};
use crate::domain::{
    AccountKey, Day, ExposureRow, MerchantId, NewGuarantee, ProgrammeChange, Renewal, ReportOutcome, ReservationId,
    Scene, Scope, TargetKind, Timestamp,
};

/// A scene as it is written.
#[must_use]
pub fn scene_number(scene: Scene) -> pb::Scene {
    match scene {
        Scene::Live => pb::Scene::Live,
        Scene::ShortVideo => pb::Scene::ShortVideo,
        Scene::ImageText => pb::Scene::ImageText,
        Scene::Search => pb::Scene::Search,
        Scene::Mall => pb::Scene::Mall,
        Scene::Store => pb::Scene::Store,
    }
}

/// The scene of a number; none for the unspecified one.
#[must_use]
pub fn scene_of(scene: pb::Scene) -> Option<Scene> {
    match scene {
        pb::Scene::Unspecified => None,
        pb::Scene::Live => Some(Scene::Live),
        pb::Scene::ShortVideo => Some(Scene::ShortVideo),
        pb::Scene::ImageText => Some(Scene::ImageText),
        pb::Scene::Search => Some(Scene::Search),
        pb::Scene::Mall => Some(Scene::Mall),
        pb::Scene::Store => Some(Scene::Store),
    }
}

/// The scene of a field.
pub(super) fn required_scene(value: i32, field: &'static str) -> Result<Scene, DecodeProblem> {
    required(scene_of(known(value, field)?), field)
}

/// Scope, merchant and scene of an account; 0 and unspecified where it has none.
#[must_use]
pub fn scope_parts(scope: Scope) -> (pb::Scope, u64, pb::Scene) {
    let none = pb::Scene::Unspecified;
    match scope {
        Scope::Programme => (pb::Scope::Programme, 0, none),
        Scope::Scene(scene) => (pb::Scope::Scene, 0, scene_number(scene)),
        Scope::Head => (pb::Scope::Head, 0, none),
        Scope::Member(merchant) => (pb::Scope::Member, merchant.0, none),
        Scope::Cap(merchant) => (pb::Scope::Cap, merchant.0, none),
        Scope::Wallet(merchant, scene) => (pb::Scope::Wallet, merchant.0, scene_number(scene)),
    }
}

/// The scope of its parts.
#[must_use]
pub fn scope_of(scope: pb::Scope, merchant: u64, scene: pb::Scene) -> Option<Scope> {
    let merchant = MerchantId(merchant);
    Some(match scope {
        pb::Scope::Unspecified => return None,
        pb::Scope::Programme => Scope::Programme,
        pb::Scope::Scene => Scope::Scene(scene_of(scene)?),
        pb::Scope::Head => Scope::Head,
        pb::Scope::Member => Scope::Member(merchant),
        pb::Scope::Cap => Scope::Cap(merchant),
        pb::Scope::Wallet => Scope::Wallet(merchant, scene_of(scene)?),
    })
}

/// A programme's bit of a field.
pub(super) fn bit(value: u32, field: &'static str) -> Result<u8, DecodeProblem> {
    u8::try_from(value).map_err(|_| DecodeProblem::invalid(field, format!("{value} is no bit")))
}

impl From<&AccountKey> for pb::AccountKey {
    fn from(key: &AccountKey) -> Self {
        let (scope, merchant, scene) = scope_parts(key.scope);
        Self { bit: key.bit.into(), scope: scope.into(), merchant, scene: scene.into(), period: key.period.0 }
    }
}

impl TryFrom<pb::AccountKey> for AccountKey {
    type Error = DecodeProblem;

    fn try_from(message: pb::AccountKey) -> Result<Self, DecodeProblem> {
        const SCENE: &str = "account_key.scene";
        let scene = pb::Scene::try_from(message.scene)
            .map_err(|_| DecodeProblem::invalid(SCENE, format!("{} is not known", message.scene)))?;
        let scope = scope_of(known(message.scope, "account_key.scope")?, message.merchant, scene);
        Ok(Self {
            bit: bit(message.bit, "account_key.bit")?,
            scope: required(scope, SCENE)?,
            period: Day(message.period),
        })
    }
}

fn target_number(kind: TargetKind) -> pb::Target {
    match kind {
        TargetKind::LiveRoom => pb::Target::LiveRoom,
        TargetKind::Product => pb::Target::Product,
        TargetKind::Merchant => pb::Target::Merchant,
        TargetKind::ShortVideo => pb::Target::ShortVideo,
    }
}

impl From<&ExposureRow> for pb::ExposureRow {
    fn from(row: &ExposureRow) -> Self {
        Self {
            kind: target_number(row.kind).into(),
            target: row.target,
            merchant: row.merchant.map(|merchant| merchant.0),
            scene: scene_number(row.scene).into(),
            policy_version: row.policy_version,
            programmes: row.programmes,
            reservations: row.reservations.iter().map(|id| id.0).collect(),
            exposures: row.exposures,
            clicks: row.clicks,
            orders: row.orders,
            gmv_fen: row.gmv_fen,
            occurred_at: row.occurred_at.0,
        }
    }
}

impl TryFrom<pb::ExposureRow> for ExposureRow {
    type Error = DecodeProblem;

    fn try_from(message: pb::ExposureRow) -> Result<Self, DecodeProblem> {
        const KIND: &str = "exposure_row.kind";
        Ok(Self {
            kind: match known(message.kind, KIND)? {
                pb::Target::LiveRoom => TargetKind::LiveRoom,
                pb::Target::Product => TargetKind::Product,
                pb::Target::Merchant => TargetKind::Merchant,
                pb::Target::ShortVideo => TargetKind::ShortVideo,
                pb::Target::Unspecified => return Err(DecodeProblem::Missing { field: KIND }),
            },
            target: message.target,
            merchant: message.merchant.map(MerchantId),
            scene: required_scene(message.scene, "exposure_row.scene")?,
            policy_version: message.policy_version,
            programmes: message.programmes,
            reservations: message.reservations.into_iter().map(ReservationId).collect(),
            exposures: message.exposures,
            clicks: message.clicks,
            orders: message.orders,
            gmv_fen: message.gmv_fen,
            occurred_at: Timestamp(message.occurred_at),
        })
    }
}

impl From<&Renewal> for pb::Renewal {
    fn from(renewal: &Renewal) -> Self {
        Self { account: Some((&renewal.account).into()), wanted: renewal.wanted, returned: renewal.returned }
    }
}

impl TryFrom<pb::Renewal> for Renewal {
    type Error = DecodeProblem;

    fn try_from(message: pb::Renewal) -> Result<Self, DecodeProblem> {
        let account = required(message.account, "renewal.account")?.try_into()?;
        Ok(Self { account, wanted: message.wanted, returned: message.returned })
    }
}

impl From<&ProgrammeChange> for pb::ProgrammeChange {
    fn from(change: &ProgrammeChange) -> Self {
        use pb::programme_change::Kind;
        let kind = match change {
            ProgrammeChange::Pause => Kind::Pause(pb::Done {}),
            ProgrammeChange::Resume => Kind::Resume(pb::Done {}),
            ProgrammeChange::AdjustBudget { scene, exposures } => Kind::AdjustBudget(pb::AdjustBudget {
                scene: scene.map_or(pb::Scene::Unspecified, scene_number).into(),
                exposures: *exposures,
            }),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::ProgrammeChange> for ProgrammeChange {
    type Error = DecodeProblem;

    fn try_from(message: pb::ProgrammeChange) -> Result<Self, DecodeProblem> {
        use pb::programme_change::Kind;
        const SCENE: &str = "programme_change.adjust_budget.scene";
        Ok(match required(message.kind, "programme_change.kind")? {
            Kind::Pause(pb::Done {}) => Self::Pause,
            Kind::Resume(pb::Done {}) => Self::Resume,
            Kind::AdjustBudget(pb::AdjustBudget { scene: 0, exposures }) => {
                Self::AdjustBudget { scene: None, exposures }
            }
            Kind::AdjustBudget(pb::AdjustBudget { scene, exposures }) => {
                Self::AdjustBudget { scene: Some(required_scene(scene, SCENE)?), exposures }
            }
        })
    }
}

impl From<&NewGuarantee> for pb::NewGuarantee {
    fn from(guarantee: &NewGuarantee) -> Self {
        Self { merchant: guarantee.merchant.0, expected: guarantee.expected }
    }
}

impl From<pb::NewGuarantee> for NewGuarantee {
    fn from(message: pb::NewGuarantee) -> Self {
        Self { merchant: MerchantId(message.merchant), expected: message.expected }
    }
}

impl From<&ReportOutcome> for pb::ReportOutcome {
    fn from(outcome: &ReportOutcome) -> Self {
        let ReportOutcome { is_duplicate, exposures, late, unattributed, over_budget, mismatched } = *outcome;
        Self { is_duplicate, exposures, late, unattributed, over_budget, mismatched }
    }
}

impl From<pb::ReportOutcome> for ReportOutcome {
    fn from(message: pb::ReportOutcome) -> Self {
        let pb::ReportOutcome { is_duplicate, exposures, late, unattributed, over_budget, mismatched } = message;
        Self { is_duplicate, exposures, late, unattributed, over_budget, mismatched }
    }
}
