//! Where a map is defined, and where its values lie.
use std::fmt;

/// The set that every feature of a point lies in; what a map accepts and returns, declared in its
/// [`crate::Signature`].
///
/// A point outside gives NaN or infinity in the value or in the log-det, never an error: domains are
/// declared so that a composition can be checked when it is built.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Domain {
    /// Any: features are moved, not computed with; they stay what they were.
    Any,
    /// All real numbers.
    Reals,
    /// Real vectors but for one point, such as the pole of an inversion.
    RealsExceptPole,
    /// Numbers greater than 0.
    Positive,
    /// The open interval.
    Interval {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Angles in radians, in `[-π, π)` with the ends identified.
    Angle,
    /// One domain per feature of the last axis.
    Features(Vec<Self>),
}

impl Domain {
    /// Whether points of this domain, all but finitely many, are those of `next`.
    pub fn fits(&self, next: &Self) -> bool {
        let real = |d: &Self| matches!(d, Self::Reals | Self::RealsExceptPole);
        match (self, next) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Features(a), Self::Features(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.fits(b))
            }
            (Self::Features(each), all) | (all, Self::Features(each)) => {
                each.iter().all(|d| d.fits(all))
            }
            (a, b) => a == b || (real(a) && real(b)),
        }
    }

    /// Where points of `incoming` lie after a map that declares to end in this domain.
    pub(crate) fn after(&self, incoming: &Self) -> Self {
        match (self, incoming) {
            (Self::Any, incoming) => incoming.moved(),
            (Self::Features(each), incoming) => {
                let before = |i: usize| match incoming {
                    Self::Features(before) => before.get(i).cloned().unwrap_or(Self::Any),
                    all => all.clone(),
                };
                let fill = |(i, d): (usize, &Self)| match d {
                    Self::Any => before(i),
                    other => other.clone(),
                };
                Self::of_features(each.iter().enumerate().map(fill).collect())
            }
            (other, _) => other.clone(),
        }
    }

    /// The domain whose features lie in these.
    pub(crate) fn of_features(each: Vec<Self>) -> Self {
        match each.split_first() {
            Some((first, others)) if others.iter().all(|d| d == first) => first.clone(),
            _ => Self::Features(each),
        }
    }

    /// The domain after features have been moved about: that of each feature is lost.
    pub(crate) fn moved(&self) -> Self {
        match self {
            Self::Features(_) => Self::Any,
            other => other.clone(),
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => write!(f, "any"),
            Self::Reals => write!(f, "the reals"),
            Self::RealsExceptPole => write!(f, "the reals but for a pole"),
            Self::Positive => write!(f, "the positive reals"),
            Self::Interval { low, high } => write!(f, "the interval ({low}, {high})"),
            Self::Angle => write!(f, "angles"),
            Self::Features(each) => {
                let each: Vec<String> = each.iter().map(Self::to_string).collect();
                write!(f, "features in [{}]", each.join(", "))
            }
        }
    }
}
