//! How long Score took as the server itself counts it: from the decoded headers to the answer, network left out.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::process::Process;

/// The server's histogram of Score's durations: upper bounds in seconds, and how many calls took at most that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durations(Vec<(f64, f64)>);

impl Durations {
    /// Reads the server's metrics.
    pub(crate) fn of_score(server: &Process) -> Result<Self, Box<dyn Error>> {
        let mut stream = TcpStream::connect(server.http)?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: bench\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let mut buckets = Vec::new();
        for line in text.lines().filter(|line| line.starts_with("trustflow_grpc_duration_seconds_bucket")) {
            if !line.contains("ScoringService/Score\"") {
                continue;
            }
            let bound =
                line.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).ok_or("a bucket without le")?;
            let count = line.rsplit(' ').next().ok_or("a bucket without a count")?;
            buckets.push((if bound == "+Inf" { f64::INFINITY } else { bound.parse()? }, count.parse()?));
        }
        buckets.sort_by(|(a, _): &(f64, f64), (b, _)| a.total_cmp(b));
        Ok(Self(buckets))
    }

    /// What was counted since an earlier moment.
    pub(crate) fn since(&self, before: &Self) -> Self {
        // A method that was not called yet has no buckets; later they are always the same.
        let earlier = before.0.iter().map(|(_, count)| *count).chain(std::iter::repeat(0.0));
        Self(self.0.iter().zip(earlier).map(|((bound, count), was)| (*bound, count - was)).collect())
    }

    /// Several spans as one.
    pub(crate) fn sum<'a>(mut all: impl Iterator<Item = &'a Self>) -> Self {
        let mut sum = all.next().cloned().unwrap_or_default();
        for other in all {
            for ((_, count), (_, more)) in sum.0.iter_mut().zip(&other.0) {
                *count += more;
            }
        }
        sum
    }

    /// A quantile in seconds, between the bounds of its bucket as if calls were spread evenly in it.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let total = self.0.last().map_or(0.0, |(_, count)| *count);
        let wanted = total * share;
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in &self.0 {
            if *count >= wanted && *count > below {
                let high = if bound.is_finite() { *bound } else { low * 2.0 };
                return low + (high - low) * (wanted - below) / (count - below);
            }
            (low, below) = (*bound, *count);
        }
        low
    }

    /// Median and tails in microseconds.
    pub(crate) fn text(&self) -> String {
        let micros = |share| self.quantile(share) * 1e6;
        format!("{:.0} / {:.0} / {:.0}", micros(0.5), micros(0.99), micros(0.999))
    }
}
