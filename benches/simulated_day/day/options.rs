//! What a run was asked to do.

use std::time::Duration;

use trustflow::domain::{Day, Timestamp};

use super::Outcome;

/// Help text.
pub(crate) const USAGE: &str = "\
just simulated-day [OPTIONS]

  --minutes M             length of the run on the wall clock (120)
  --days D                simulated days that pass meanwhile, from 00:00 of the first (1)
  --from DATE             the first day, Asia/Shanghai (2024-11-02, a Saturday within Double 11)
  --hour H                hour of the first day at which the run begins (0)
  --merchants N           merchants (20000)
  --newcomers SHARE       of them, opened in the last days; guarantees are theirs (0.015)
  --calls-per-second X    ranking requests a second on average over the day (25)
  --crowd N               viewers that a call of the adjusted and weights modes stands for (1000; 20 with --tight)
  --kill-every SECONDS    between two kills, on the wall clock; 0 never kills (180)
  --lost SHARE            of reports that are never sent (0.01)
  --late SHARE            of reports that are sent after the deadline of their reservations (0.01)
  --duplicated SHARE      of reports that are sent twice (0.03)
  --tight                 budgets, caps and guarantees of the shipped policy divided by 1000, so that they bite
  --tight-by N            the same with another divisor
  --seed N                what is asked and reported (1)
  --keep                  leave the data folder, and say where it is";

/// Hours of a day.
const DAY_MS: f64 = 86_400_000.0;

/// The settings of a run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Length on the wall clock.
    pub(crate) wall: Duration,
    /// Simulated days.
    pub(crate) days: f64,
    /// When it begins, in simulated time.
    pub(crate) from: Timestamp,
    /// Merchants at the beginning.
    pub(crate) merchants: u32,
    /// Share of them that opened in the last days.
    pub(crate) newcomers: f64,
    /// Requests a second of wall time, on average.
    pub(crate) calls_per_second: f64,
    /// Viewers that a call outside slate mode stands for.
    pub(crate) crowd: u64,
    /// Between two kills.
    pub(crate) kill_every: Option<Duration>,
    /// Share of reports never sent.
    pub(crate) lost: f64,
    /// Share of reports sent too late.
    pub(crate) late: f64,
    /// Share of reports sent twice.
    pub(crate) duplicated: f64,
    /// By what budgets, caps and guarantees are divided.
    pub(crate) tight: Option<u64>,
    /// What is asked and reported.
    pub(crate) seed: u64,
    /// Whether the data folder stays.
    pub(crate) keep: bool,
}

impl Options {
    /// Simulated milliseconds per millisecond.
    pub(crate) fn rate(&self) -> f64 {
        self.days * DAY_MS / (self.wall.as_secs_f64() * 1e3)
    }

    /// The end, in simulated time.
    pub(crate) fn until(&self) -> Timestamp {
        self.from.plus_ms((self.days * DAY_MS) as i64)
    }

    /// Reads the arguments that follow the program's name.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Self {
            wall: Duration::from_secs(7_200),
            days: 1.0,
            from: Timestamp(0),
            merchants: 20_000,
            newcomers: 0.015,
            calls_per_second: 25.0,
            crowd: 0,
            kill_every: Some(Duration::from_secs(180)),
            lost: 0.01,
            late: 0.01,
            duplicated: 0.03,
            tight: None,
            seed: 1,
            keep: false,
        };
        let (mut from, mut hour, mut crowd) = ("2024-11-02".to_owned(), 0.0_f64, None);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n\n{USAGE}"));
            match word.as_str() {
                "--minutes" => options.wall = Duration::from_secs_f64(60.0 * value()?.parse::<f64>()?),
                "--days" => options.days = value()?.parse()?,
                "--from" => from = value()?,
                "--hour" => hour = value()?.parse()?,
                "--merchants" => options.merchants = value()?.replace('_', "").parse()?,
                "--newcomers" => options.newcomers = value()?.parse()?,
                "--calls-per-second" => options.calls_per_second = value()?.parse()?,
                "--crowd" => crowd = Some(value()?.replace('_', "").parse()?),
                "--kill-every" => {
                    let seconds: f64 = value()?.parse()?;
                    options.kill_every = (seconds > 0.0).then(|| Duration::from_secs_f64(seconds));
                }
                "--lost" => options.lost = value()?.parse()?,
                "--late" => options.late = value()?.parse()?,
                "--duplicated" => options.duplicated = value()?.parse()?,
                "--tight" => options.tight = Some(1_000),
                "--tight-by" => options.tight = Some(value()?.replace('_', "").parse()?),
                "--seed" => options.seed = value()?.parse()?,
                "--keep" => options.keep = true,
                "--bench" => {}
                other => return Err(format!("unknown argument {other}\n\n{USAGE}").into()),
            }
        }
        options.crowd = crowd.unwrap_or(if options.tight.is_some() { 20 } else { 1_000 });
        let day = Day::parse(&from).ok_or_else(|| format!("--from {from}: write YYYY-MM-DD"))?;
        options.from = day.start().plus_ms((hour * 3_600_000.0) as i64);
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Outcome<()> {
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        if ![self.lost, self.late, self.duplicated, self.newcomers].into_iter().all(is_share) {
            return Err("shares are 0 to 1".into());
        }
        if self.merchants < 100 || self.calls_per_second <= 0.0 || self.crowd == 0 || self.tight == Some(0) {
            return Err("at least 100 merchants, a call, a viewer and a divisor of 1 are needed".into());
        }
        if self.wall.is_zero() || self.days <= 0.0 || self.rate() > 1e6 {
            return Err("the run is too short for so many days".into());
        }
        Ok(())
    }
}
