"""Distances between samples, ``[n, D]`` each, and statistics of scores. A pair is a value with its standard error.

>>> from mflow import metrics, simulators
>>> circle = simulators.get("circle")
>>> x, y = circle.sample(500, random_state=1), circle.sample(500, random_state=2)
>>> metrics.frechet_distance(x, y) < 0.1
True
>>> metrics.auc([2.0, 3.0], [1.0, 0.0])
1.0
"""

from __future__ import annotations

from typing import Any, NamedTuple

from . import _mflow
from ._convert import matrix, vector

__all__ = [
    "Coverage",
    "Estimate",
    "TwoSampleTest",
    "auc",
    "classifier_two_sample",
    "coverage",
    "frechet_distance",
    "kernel_distance",
    "kolmogorov_smirnov",
    "squared_mmd",
]


class Estimate(NamedTuple):
    """A value with its standard error, which is None where it cannot be known."""

    value: float
    standard_error: float | None


class Coverage(NamedTuple):
    """How far a generated sample lies within a real one, and covers it."""

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


class TwoSampleTest(NamedTuple):
    """How well a classifier tells two samples apart: 0.5 not at all, with this standard deviation; 1 always."""

    accuracy: float
    deviation: float


def frechet_distance(X: Any, Y: Any) -> float:
    """The Fréchet distance of normal distributions with the moments of two samples, in squared data units."""
    return _mflow.frechet_distance(matrix(X), matrix(Y, "Y"))


def kernel_distance(X: Any, Y: Any, *, blocks: int = 10) -> Estimate:
    """The kernel distance of two samples (the estimator of KID), its error from ``blocks`` parts."""
    return Estimate(*_mflow.kernel_distance(matrix(X), matrix(Y, "Y"), blocks))


def squared_mmd(X: Any, Y: Any, *, scale: float | None = None) -> float:
    """The squared maximum mean discrepancy with a Gaussian kernel of this scale, by default the median distance within X."""
    return _mflow.squared_mmd(matrix(X), matrix(Y, "Y"), scale)


def classifier_two_sample(X: Any, Y: Any, *, k: int = 5) -> TwoSampleTest:
    """The accuracy with which the ``k`` nearest neighbours of a row tell which sample it is from."""
    return TwoSampleTest(*_mflow.classifier_two_sample(matrix(X), matrix(Y, "Y"), k))


def coverage(real: Any, generated: Any, *, k: int = 5) -> Coverage:
    """Precision, recall, density and coverage, by balls that reach to the ``k``-th neighbour."""
    found = _mflow.coverage(matrix(real, "real"), matrix(generated, "generated"), k)
    return Coverage(*(Estimate(*pair) for pair in found))


def auc(positive: Any, negative: Any) -> float:
    """The area under the ROC curve of scores that should be higher for ``positive``, ``[n]``, than for ``negative``, ``[m]``."""
    return _mflow.auc(vector(positive, "positive"), vector(negative, "negative"))


def kolmogorov_smirnov(a: Any, b: Any) -> float:
    """The largest difference between the distribution functions of two samples of numbers."""
    return _mflow.kolmogorov_smirnov(vector(a, "a"), vector(b, "b"))
