//! Which role opens which method. What does not stand here is denied, to admins too: a method that is added gets its
//! role here, and a test fails until it has one.

use super::role::Role;

/// What a method asks of its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: load balancers ask without credentials.
    Open,
    /// To be known, whatever the role.
    Known,
    /// A role.
    Role(Role),
}

/// Every method of the API, by service.
const METHODS: &[(&str, Role, &[&str])] = &[
    ("ScoringService", Role::Scorer, &["Score", "Allocate", "ListUnderserved"]),
    ("ExposureService", Role::Scorer, &["ReportExposures"]),
    (
        "ProfileService",
        Role::Ingester,
        &[
            "BatchUpsertMerchants",
            "GetMerchant",
            "ListMerchants",
            "DeleteMerchant",
            "BatchUpsertProducts",
            "GetProduct",
            "ListProducts",
            "DeleteProduct",
            "BatchUpsertLiveRooms",
            "GetLiveRoom",
            "ListLiveRooms",
            "DeleteLiveRoom",
            "BatchUpsertShortVideos",
            "GetShortVideo",
            "ListShortVideos",
            "DeleteShortVideo",
            "BatchUpsertServiceProviders",
            "GetServiceProvider",
            "ListServiceProviders",
            "DeleteServiceProvider",
            "RecordFacts",
            "RecordViolation",
            "RevokeViolation",
            "SetRights",
            "Import",
            "GetImportProgress",
            "CloseDay",
        ],
    ),
    (
        "InsightService",
        Role::Viewer,
        &[
            "ExplainScore",
            "ListFacts",
            "GetRules",
            "GetTrustPurchaseStatus",
            "SearchProducts",
            "GetForecast",
            "ValidateScores",
        ],
    ),
    (
        "PolicyService",
        Role::Operator,
        &[
            "ValidatePolicy",
            "PublishPolicy",
            "ListPolicyVersions",
            "GetPolicy",
            "DiffPolicies",
            "RollbackPolicy",
            "SimulatePolicy",
            "SetKillSwitch",
        ],
    ),
    (
        "ProgrammeService",
        Role::Operator,
        &[
            "ListProgrammes",
            "GetProgramme",
            "PauseProgramme",
            "ResumeProgramme",
            "AdjustBudget",
            "ListMembers",
            "GrantPackage",
            "AssignPackage",
            "ReleasePackage",
            "ListPackages",
        ],
    ),
    (
        "AdminService",
        Role::Admin,
        &["GetStatus", "GetStateHash", "AdvanceClock", "AcceptTime", "Backup", "ListCredentials", "ListAuditEntries"],
    ),
];

/// Methods that are not of the API but served beside it.
const BESIDE: &[(&str, Access)] = &[
    ("/grpc.health.v1.Health/Check", Access::Open),
    ("/grpc.health.v1.Health/Watch", Access::Open),
    ("/grpc.health.v1.Health/List", Access::Open),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Access::Known),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Access::Known),
];

/// What the method of a path asks for; none if nobody may call it.
#[must_use]
pub fn access(path: &str) -> Option<Access> {
    if let Some((service, method)) = path.strip_prefix("/trustflow.v1.").and_then(|path| path.split_once('/')) {
        let (_, role, methods) = METHODS.iter().find(|(name, ..)| *name == service)?;
        return methods.contains(&method).then_some(Access::Role(*role));
    }
    BESIDE.iter().find(|(beside, _)| *beside == path).map(|(_, access)| *access)
}

/// The methods of the API that a role opens by itself, as `Service/Method`.
pub fn methods_of(role: Role) -> impl Iterator<Item = String> {
    let services = METHODS.iter().filter(move |(_, opened_by, _)| *opened_by == role);
    services.flat_map(|(service, _, methods)| methods.iter().map(move |method| format!("{service}/{method}")))
}

#[cfg(test)]
mod tests {
    use super::{Access, METHODS, access};
    use crate::auth::Role;

    #[test]
    fn what_is_not_in_the_table_is_denied() {
        assert_eq!(access("/trustflow.v1.ScoringService/Score"), Some(Access::Role(Role::Scorer)));
        assert_eq!(access("/grpc.health.v1.Health/Check"), Some(Access::Open));
        for path in [
            "",
            "/",
            "/trustflow.v1.ScoringService/",
            "/trustflow.v1.ScoringService/Score/",
            "/trustflow.v1.ScoringService/score",
            "/trustflow.v1.AdminService/Score",
            "/trustflow.v2.ScoringService/Score",
            "trustflow.v1.ScoringService/Score",
            "/grpc.health.v1.Health/",
        ] {
            assert_eq!(access(path), None, "{path}");
        }
    }

    #[test]
    fn nothing_stands_twice() {
        let mut names: Vec<&str> = METHODS.iter().map(|(service, ..)| *service).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METHODS.len());
    }
}
