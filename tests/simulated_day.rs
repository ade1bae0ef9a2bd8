//! Some hours of the simulated day, in little: the same traffic, kills and checks as the bench, with tight budgets.

#[cfg(test)]
#[path = "../benches/simulated_day/day/mod.rs"]
mod day;

#[cfg(test)]
mod hours {
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
}
