"""scikit-learn's own checks of estimators."""

from __future__ import annotations

from typing import Any

import mflow
import pytest
from conftest import small
from sklearn.utils.estimator_checks import parametrize_with_checks

#: Checks that do not apply, with the reason. The README has the same list.
EXCEPTIONS: dict[str, str] = {
    "check_sample_weight_equivalence_on_dense_data": "rows are shuffled into batches: a row that is repeated comes in several of "
    "them, a row of double weight in one",
}


def exceptions(_: Any) -> dict[str, str]:
    return EXCEPTIONS


ESTIMATORS = [
    small(epochs=1),
    mflow.AmbientFlow(epochs=1, random_state=0),
    mflow.FreeForm(1, epochs=2, start="flat", random_state=0),
]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=exceptions)
def test_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_exceptions_have_reasons() -> None:
    assert all(reason for reason in EXCEPTIONS.values())
