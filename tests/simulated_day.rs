//! Some hours of the simulated day, in little: the same traffic, kills and checks as the bench, with tight budgets.

#[cfg(test)]
#[path = "../benches/simulated_day/day/mod.rs"]
mod day;

#[cfg(test)]
mod hours {
    use crate::day::policy::{self, Guarantee, Programme};
    use crate::day::{self, Options};

    /// Saturday evening, when category days are on, with two kills.
    const HOURS: &str = "--merchants 300 --newcomers 0.05 --hour 18 --days 0.2 --minutes 0.6 --kill-every 12 \
                         --calls-per-second 40 --crowd 5 --tight-by 100000 --late 0.03 --seed 7";

    #[tokio::test]
    async fn every_exposure_counts_once_and_no_budget_is_overspent() {
        let options = Options::parse(HOURS.split_whitespace().map(ToOwned::to_owned)).expect(day::USAGE);
        let verdict = day::run(&options).await.expect("the run comes to its end");
        assert!(verdict.holds(), "{verdict}");
        println!("{verdict}");
    }

    #[test]
    fn a_tight_policy_differs_in_what_is_spent_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        policy::tighten(folder.path(), 1_000).expect("copied");
        let loose = policy::read(&policy::shipped()).expect("read");
        let tight = policy::read(folder.path()).expect("read");
        assert!(loose.len() >= 24 && loose.keys().eq(tight.keys()));
        for (id, programme) in &loose {
            let budget = |programme: &Programme| programme.budget.clone().map(|budget| budget.exposures);
            assert_eq!(budget(&tight[id]), budget(programme).map(|exposures| exposures / 1_000), "{id}");
            let cap = |programme: &Programme| programme.cap.map(|cap| cap.exposures);
            assert_eq!(cap(&tight[id]), cap(programme).map(|exposures| exposures / 1_000), "{id}");
        }
        let newcomers = tight["new_merchant_launch"].guarantee;
        assert_eq!(newcomers, Some(Guarantee { exposures: 1_000, days: 7 }));
        let scenes = tight["double_11"].budget.as_ref().map(|budget| budget.of("live"));
        assert_eq!(scenes, Some((170_000_000, true)));
    }
}
