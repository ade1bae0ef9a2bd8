//! The small policy with programmes that spend in every way there is.

use trustflow::domain::PolicyText;

use crate::small_policy::small_policy;

/// Shared by all three.
const HEAD: &str = r#"
name_zh = "计划"
seed = "002"
area = "traffic"
scenes = ["all"]
"#;

const LAUNCH: &str = r#"
name = "Launch"
kind = "support"
eligibility = '''merchant.days_since_opening >= 0 && merchant.days_since_opening < 30'''
holdout = { share = 0.3 }
[uplift]
cases = [
    { when = 'merchant.days_since_opening < 7', uplift = 1.5 },
    { when = 'true', uplift = 0.5 },
]
[budget]
exposures = BUDGET
period = "day"
max_member_share = 0.5
tail = { share = 0.25, max_exposures_30d = 60 }
daily_members = 2
[budget.by_scene]
live = 80
[guarantee]
exposures = 100
days = 7
penalty = 0.5
[cap]
exposures = 70
period = "week"
"#;

const PUSH: &str = r#"
name = "Push"
kind = "hard"
eligibility = '''merchant.fan_count >= 0'''
[budget]
exposures = 500
period = "month"
"#;

const PACKAGE: &str = r#"
name = "Packages"
kind = "support"
eligibility = '''"live" in merchant.packages || "mall" in merchant.packages'''
[[scene_condition]]
scenes = ["live"]
when = '"live" in merchant.packages'
[[scene_condition]]
scenes = ["mall"]
when = '"mall" in merchant.packages'
[uplift]
constant = 0.5
[budget]
exposures = 1_000_000
period = "year"
"#;

/// The text of a variant, 0 to 3. Budgets differ; 2 has no packages.
pub(crate) fn spending_policy(variant: usize) -> PolicyText {
    let mut text = small_policy(variant);
    text.files.retain(|(path, _)| !path.starts_with("programmes/"));
    let budget = if variant == 3 { "90" } else { "200" };
    let programmes = [("launch", LAUNCH.replace("BUDGET", budget)), ("push", PUSH.to_owned())];
    let package = (variant != 2).then(|| ("scene_package", PACKAGE.to_owned()));
    for (id, programme) in programmes.into_iter().chain(package) {
        // The keys that all share stand in front of the tables.
        text.files.push((format!("programmes/{id}.toml"), format!("{HEAD}{programme}")));
    }
    text.files.sort();
    text
}
