"""Maps by themselves: round trips, determinants and Jacobians against differences."""

from __future__ import annotations

import pickle
from typing import Any

import mflow
import numpy as np
import pytest

CONFIGS: list[tuple[dict[str, Any], int]] = [
    ({"kind": "lu_linear", "dim": 3}, 0),
    ({"kind": "permutation", "dim": 3}, 0),
    ({"kind": "feature_affine", "shift": [1.0, 2.0, 3.0], "scale": [0.5, 2.0, 1.0]}, 0),
]


@pytest.mark.parametrize(("config", "context"), CONFIGS, ids=lambda c: str(c)[:30])
def test_laws(config: dict[str, Any], context: int) -> None:
    f = mflow.Bijector(config, seed=2)
    x = np.random.default_rng(0).normal(size=(5, 3))
    y, log_det = f.forward_and_log_det(x)
    back, inverse_log_det = f.inverse_and_log_det(y)
    np.testing.assert_allclose(back, x, atol=1e-9)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-9)
    jacobian = f.jacobian(x)
    step = 1e-6
    for j in range(3):
        unit = step * np.eye(3)[j]
        slope = (f.forward(x + unit) - f.forward(x - unit)) / (2 * step)
        np.testing.assert_allclose(jacobian[:, :, j], slope, atol=1e-6)
    np.testing.assert_allclose(np.linalg.slogdet(jacobian)[1], log_det, atol=1e-9)
    again = pickle.loads(pickle.dumps(f))
    np.testing.assert_array_equal(again.forward(x), y)


def test_configs_are_checked() -> None:
    with pytest.raises(mflow.ConfigError, match="no_such_map"):
        mflow.Bijector({"kind": "no_such_map"})
    with pytest.raises(mflow.DataError):
        mflow.Bijector({"kind": "lu_linear", "dim": 3}).forward(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="f16"):
        mflow.Bijector({"kind": "lu_linear", "dim": 3}, dtype="f16")


def test_parameters_go_in_and_out() -> None:
    f = mflow.Bijector({"kind": "lu_linear", "dim": 2}, seed=1)
    g = mflow.Bijector(f.config, seed=9, parameters=f.parameters)
    x = np.ones((1, 2))
    np.testing.assert_array_equal(f.forward(x), g.forward(x))
    with pytest.raises(mflow.MflowError):
        mflow.Bijector(f.config, parameters={})


def test_arrays_through_dlpack() -> None:
    class Foreign:
        """An array that speaks DLPack alone, as those of torch and jax do."""

        def __init__(self, of: np.ndarray) -> None:
            self.of = of

        def __dlpack__(self, **options: Any) -> Any:
            return self.of.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return self.of.__dlpack_device__()

    f = mflow.Bijector({"kind": "lu_linear", "dim": 2})
    x = np.ones((3, 2))
    np.testing.assert_array_equal(f.forward(Foreign(x)), f.forward(x))
