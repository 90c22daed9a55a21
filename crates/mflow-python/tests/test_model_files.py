"""The reader of model files in `examples`, which has only NumPy, computes what mflow computes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import mflow
import numpy as np
import pytest
from conftest import small

READER = Path(__file__).parents[1] / "examples" / "read_model.py"


@pytest.fixture(scope="module")
def reader() -> Any:
    spec = importlib.util.spec_from_file_location("read_model", READER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "flow",
    [
        small(),
        small(start="random", normalize="none"),
        mflow.AmbientFlow(epochs=1, random_state=0),
    ],
    ids=["flat start", "random start", "ambient"],
)
def test_numpy_reads_a_model(flow: Any, reader: Any, x: np.ndarray, tmp_path: Path) -> None:
    flow.fit(x).save(tmp_path / "model.safetensors")
    exact = mflow.load(tmp_path / "model.safetensors", dtype="f64")
    model = reader.Model(tmp_path / "model.safetensors")
    # Far points too, where splines are the identity.
    rows = np.vstack([x, 20 * x[:5]])
    latent = exact.transform(rows)
    np.testing.assert_allclose(model.encode(rows), latent, atol=1e-8)
    np.testing.assert_allclose(model.decode(latent), exact.inverse_transform(latent), atol=1e-8)
    np.testing.assert_allclose(model.log_prob(rows), exact.score_samples(rows), atol=1e-5)
