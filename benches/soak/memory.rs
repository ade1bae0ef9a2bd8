//! Resident memory over time, and what it says about growth.

use std::fmt::Write;

/// What is left out of each life: caches fill, pools grow, what is kept for some days comes to its size.
const WARM_UP: f64 = 0.4;
const MIB: f64 = 1_024.0;

/// A sample: seconds since the beginning, life, KiB.
type Sample = (f64, u64, u64);

/// The samples of a run.
#[derive(Debug, Default)]
pub(crate) struct Memory(Vec<Sample>);

/// How memory went in one life, after its warm-up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trend {
    pub(crate) life: u64,
    /// Samples.
    pub(crate) samples: usize,
    /// Mean, MiB.
    pub(crate) mean_mib: f64,
    /// Least and most, MiB.
    pub(crate) range_mib: (f64, f64),
    /// Slope of the line that fits best, MiB per hour, and its standard error.
    pub(crate) slope_mib_h: (f64, f64),
    /// Share of the variance that the line explains.
    pub(crate) fit: f64,
    /// Mean of the last third against that of the first, as a share.
    pub(crate) growth: f64,
}

impl Memory {
    pub(crate) fn add(&mut self, at_s: f64, life: u64, kib: u64) {
        self.0.push((at_s, life, kib));
    }

    /// The samples as a table.
    pub(crate) fn csv(&self) -> String {
        let mut text = "seconds,life,kib\n".to_owned();
        for (at_s, life, kib) in &self.0 {
            let _ = writeln!(text, "{at_s:.1},{life},{kib}");
        }
        text
    }

    /// One trend for each life.
    pub(crate) fn trends(&self) -> Vec<Trend> {
        let last = self.0.last().map_or(0, |(_, life, _)| *life);
        (0..=last).filter_map(|life| self.trend(life)).collect()
    }

    fn trend(&self, life: u64) -> Option<Trend> {
        let all: Vec<(f64, f64)> =
            self.0.iter().filter(|sample| sample.1 == life).map(|(at_s, _, kib)| (*at_s, *kib as f64 / MIB)).collect();
        let warm = &all[(all.len() as f64 * WARM_UP) as usize..];
        let n = warm.len() as f64;
        if warm.len() < 6 {
            return None;
        }
        let mean = |part: &[(f64, f64)]| part.iter().map(|(_, mib)| mib).sum::<f64>() / part.len() as f64;
        let (mean_s, mean_mib) = (warm.iter().map(|(at_s, _)| at_s).sum::<f64>() / n, mean(warm));
        let sum = |f: &dyn Fn(f64, f64) -> f64| warm.iter().map(|(x, y)| f(x - mean_s, y - mean_mib)).sum::<f64>();
        let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
        let slope = xy / xx;
        let left = (yy - slope * xy).max(0.0);
        let error = (left / (n - 2.0) / xx).sqrt();
        let third = warm.len() / 3;
        let (first, last) = (mean(&warm[..third]), mean(&warm[warm.len() - third..]));
        Some(Trend {
            life,
            samples: warm.len(),
            mean_mib,
            range_mib: warm.iter().fold((f64::MAX, 0.0), |(low, high), (_, mib)| (mib.min(low), mib.max(high))),
            slope_mib_h: (slope * 3_600.0, error * 3_600.0),
            fit: if yy > 0.0 { 1.0 - left / yy } else { 0.0 },
            growth: last / first - 1.0,
        })
    }
}
