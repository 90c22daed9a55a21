//! Which features a coupling moves.
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Which features a coupling moves; it keeps the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mask {
    /// Features 0, 2, 4, ...
    Even,
    /// Features 1, 3, 5, ...
    Odd,
    /// The listed features.
    Moved(Vec<usize>),
}

/// The features of a mask.
#[derive(Debug)]
pub(crate) struct Halves {
    pub(crate) keep: Vec<usize>,
    pub(crate) moved: Vec<usize>,
}

impl Mask {
    /// Alternating masks, even first: the one of layer `i`.
    pub fn alternating(i: usize) -> Self {
        if i.is_multiple_of(2) { Self::Even } else { Self::Odd }
    }

    /// Split `0..dim`. With one feature there is nothing to alternate: it always moves.
    pub(crate) fn halves(&self, dim: usize) -> Result<Halves> {
        let moves = |k: usize| match self {
            _ if dim == 1 => true,
            Self::Even => k.is_multiple_of(2),
            Self::Odd => !k.is_multiple_of(2),
            Self::Moved(list) => list.contains(&k),
        };
        if let Self::Moved(list) = self {
            let mut sorted = list.clone();
            sorted.sort_unstable();
            sorted.dedup();
            if sorted.len() != list.len() || list.iter().any(|&k| k >= dim) || list.is_empty() {
                let reason = format!("must list distinct features below {dim}, found {list:?}");
                return Err(Error::config("coupling.mask.moved", reason));
            }
        }
        let (moved, keep) = (0..dim).partition(|&k| moves(k));
        Ok(Halves { keep, moved })
    }
}
