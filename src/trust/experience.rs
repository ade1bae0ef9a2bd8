//! Experience upgrade (体验升级): the experience-price ratio (体验价格比), made of other signals.

use super::score::{SignalRow, SignalState};

/// The mean of the parts' values over the divisor's smoothed value. Seed 001: "(product + service experience) over
/// price". Parts that do not apply are left out; `None` when none applies or the divisor is not above 0.
#[must_use]
pub fn ratio(rows: &[SignalRow], parts: &[u16], over: Option<u16>) -> Option<(f64, SignalState)> {
    let mut sum = 0.0;
    let mut count = 0.0;
    let mut state = SignalState::NoData;
    let usable = |row: &&SignalRow| matches!(row.state, SignalState::Measured | SignalState::NoData);
    for row in parts.iter().filter_map(|part| rows.get(usize::from(*part))).filter(usable) {
        sum += row.value;
        count += 1.0;
        if row.state == SignalState::Measured {
            state = SignalState::Measured;
        }
    }
    if count < 1.0 {
        return None;
    }
    let mean = sum / count;
    let Some(over) = over else { return Some((mean, state)) };
    let divisor = rows.get(usize::from(over)).filter(usable).map(|row| row.smoothed)?;
    (divisor > 0.0).then(|| (mean / divisor, state))
}
