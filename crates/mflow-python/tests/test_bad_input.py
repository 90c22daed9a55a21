"""Whatever people pass: converted as scikit-learn does it, or refused with its kind of message."""

from __future__ import annotations

from typing import Any

import mflow
import numpy as np
import pytest
from conftest import small
from scipy import sparse

QUESTIONS = ("score_samples", "transform", "project", "reconstruction_error", "scores")


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_a_matrix_of_numbers_is_taken(
    fitted: mflow.MFlow, x: np.ndarray, question: str
) -> None:
    ask = getattr(fitted, question)

    def first(found: Any) -> np.ndarray:
        return found["log_prob"] if isinstance(found, dict) else found

    exact = first(ask(x))
    for same in (
        x.tolist(),
        x.astype(object),
        np.asfortranarray(x),
        np.repeat(x, 2, axis=0)[::2],
        np.ma.masked_array(x, mask=np.zeros_like(x, bool)),
    ):
        np.testing.assert_array_equal(first(ask(same)), exact)
    np.testing.assert_allclose(first(ask(x.astype(np.float32))), exact, rtol=1e-4, atol=1e-5)
    half = first(ask(x.astype(np.float16)))
    np.testing.assert_array_equal(half, first(ask(x.astype(np.float16).astype(float))))
    ints = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(first(ask(ints)), first(ask(ints.astype(float))))


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x[0], ValueError, "Expected 2D array, got 1D array instead"),
        (lambda x: x[:, :2], ValueError, "X has 2 features, but MFlow is expecting 3 features"),
        (lambda x: x[:0], ValueError, "0 sample"),
        (lambda x: np.where(x == x[2, 1], np.nan, x), ValueError, "contains NaN"),
        (lambda x: np.where(x == x[2, 1], np.inf, x), ValueError, "contains infinity"),
        (lambda x: x.astype(str).astype(object) + "z", ValueError, "could not convert string"),
        (lambda x: x + 1j, ValueError, "Complex data not supported"),
        (lambda x: sparse.csr_matrix(x), TypeError, "dense data is required"),
        (lambda x: x[None], ValueError, "Found array with dim 3"),
        (lambda x: np.ma.masked_greater(x, 0.5), ValueError, "masked values"),
        (lambda x: None, ValueError, "Expected 2D array|NoneType|None"),
    ],
)
def test_what_is_none_is_refused(
    fitted: mflow.MFlow, x: np.ndarray, question: str, change: Any, error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        getattr(fitted, question)(change(x.copy()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:1], "minimum of 2"),
        (lambda x: x[:, :1], "minimum of 2"),
        (lambda x: x * np.where(np.arange(3) == 1, np.nan, 1), "NaN"),
        (lambda x: np.ma.masked_greater(x, 0.5), "masked"),
    ],
)
def test_a_fit_refuses_too(x: np.ndarray, change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small().fit(change(x.copy()))


def test_numbers_that_single_precision_cannot_hold(fitted: mflow.MFlow, x: np.ndarray) -> None:
    with pytest.raises(ValueError, match="inf|finite"):
        fitted.score_samples(x * 1e300)


def test_latents_are_checked(fitted: mflow.MFlow) -> None:
    with pytest.raises(ValueError, match="1 latents"):
        fitted.inverse_transform(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="NaN"):
        fitted.inverse_transform([[np.nan]])
    with pytest.raises(ValueError, match="n_samples"):
        fitted.sample(0)


def test_the_library_refuses_what_slips_through(fitted: mflow.MFlow, x: np.ndarray) -> None:
    native = fitted.model_
    with pytest.raises(mflow.DataError, match="NaN"):
        native._ask("log_prob", np.full((2, 3), np.nan), None, None)
    with pytest.raises(mflow.DataError):
        native._ask("log_prob", np.zeros((2, 4)), None, None)
    with pytest.raises(TypeError):
        native._ask("log_prob", x.astype(int), None, None)
    with pytest.raises(mflow.ConfigError):
        native._ask("nothing", x, None, None)
    assert issubclass(mflow.DataError, (mflow.MflowError, ValueError))


def test_bad_files_and_names(tmp_path: Any) -> None:
    (tmp_path / "m").write_bytes(b"no model")
    with pytest.raises(mflow.FileError):
        mflow.load(tmp_path / "m")
    with pytest.raises(mflow.FileError, match="finished run"):
        mflow.load(tmp_path)
    with pytest.raises(mflow.ConfigError, match="torus"):
        mflow.simulators.get("no such simulator")
