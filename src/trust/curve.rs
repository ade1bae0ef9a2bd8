//! Monotone piecewise-linear curves.

/// A monotone piecewise-linear function, constant beyond its first and last point.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    points: Vec<(f64, f64)>,
}

/// Why points do not make a curve.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CurveError {
    /// A curve needs a point.
    #[error("a curve needs at least one point")]
    Empty,
    /// NaN or infinity.
    #[error("point {index} is not finite")]
    NotFinite {
        /// Which point, from 0.
        index: usize,
    },
    /// x must grow.
    #[error("x of point {index} is not above the one before")]
    NotIncreasing {
        /// Which point, from 0.
        index: usize,
    },
    /// y must not turn.
    #[error("the curve turns at point {index}: y must only rise or only fall")]
    NotMonotone {
        /// Which point, from 0.
        index: usize,
    },
}

impl Curve {
    /// A curve through these points, x strictly rising, y only rising or only falling.
    ///
    /// # Errors
    /// The first point that breaks a rule.
    pub fn new(points: Vec<(f64, f64)>) -> Result<Self, CurveError> {
        if points.is_empty() {
            return Err(CurveError::Empty);
        }
        if let Some(index) = points.iter().position(|(x, y)| !x.is_finite() || !y.is_finite()) {
            return Err(CurveError::NotFinite { index });
        }
        let pairs = || points.iter().zip(points.iter().skip(1)).enumerate();
        if let Some((index, _)) = pairs().find(|(_, (a, b))| b.0 <= a.0) {
            return Err(CurveError::NotIncreasing { index: index.saturating_add(1) });
        }
        let rises = points.first().map(|p| p.1) <= points.last().map(|p| p.1);
        if let Some((index, _)) = pairs().find(|(_, (a, b))| if rises { b.1 < a.1 } else { b.1 > a.1 }) {
            return Err(CurveError::NotMonotone { index: index.saturating_add(1) });
        }
        Ok(Self { points })
    }

    /// The same value everywhere.
    #[must_use]
    pub fn flat(y: f64) -> Self {
        Self { points: vec![(0.0, y)] }
    }

    /// The points.
    #[must_use]
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// Whether more is worse.
    #[must_use]
    pub fn falls(&self) -> bool {
        match (self.points.first(), self.points.last()) {
            (Some(first), Some(last)) => last.1 < first.1,
            _ => false,
        }
    }

    /// The curve's value at `x`.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        value_at(&self.points, x)
    }
}

/// The value at `x` of the curve through these points.
pub(super) fn value_at(points: &[(f64, f64)], x: f64) -> f64 {
    let mut before: Option<(f64, f64)> = None;
    for &(px, py) in points {
        if x <= px {
            return match before {
                None => py,
                Some((bx, by)) => by + (py - by) * ((x - bx) / (px - bx)),
            };
        }
        before = Some((px, py));
    }
    before.map_or(0.0, |(_, y)| y)
}

#[cfg(test)]
mod tests {
    use super::{Curve, CurveError};

    #[test]
    fn a_curve_is_linear_between_and_flat_beyond_its_points() {
        let curve = Curve::new(vec![(0.0, 1.0), (0.1, 0.5), (0.3, 0.0)]).expect("a curve");
        for (x, y) in [(-1.0, 1.0), (0.0, 1.0), (0.05, 0.75), (0.1, 0.5), (0.2, 0.25), (0.3, 0.0), (9.0, 0.0)] {
            assert!((curve.at(x) - y).abs() < 1e-12, "at {x}");
        }
        assert!(curve.falls());
    }

    #[test]
    fn wrong_points_are_refused() {
        let cases = [
            (vec![], CurveError::Empty),
            (vec![(0.0, f64::NAN)], CurveError::NotFinite { index: 0 }),
            (vec![(0.0, 0.0), (0.0, 1.0)], CurveError::NotIncreasing { index: 1 }),
            (vec![(0.0, 0.0), (1.0, 1.0), (2.0, 0.5)], CurveError::NotMonotone { index: 2 }),
        ];
        for (points, error) in cases {
            assert_eq!(Curve::new(points), Err(error));
        }
    }
}
