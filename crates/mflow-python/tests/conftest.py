"""What all tests share: quick fits, and the program."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import mflow
import numpy as np
import pytest

#: A model that trains in no time; two shards, so that the bits do not depend on the number of cores.
SETTINGS = {
    "model.outer.layers": 2,
    "model.outer.hidden": 8,
    "model.outer.blocks": 1,
    "model.inner.layers": 2,
    "model.inner.hidden": 8,
    "model.inner.blocks": 1,
    "train.shards": 2,
}


def small(**parameters: Any) -> mflow.MFlow:
    """An M-flow that trains in no time, from a flat start."""
    asked: dict[str, Any] = {
        "manifold_dim": 1,
        "start": "flat",
        "epochs": 2,
        "random_state": 3,
        "settings": SETTINGS,
        "threads": 2,
    }
    return mflow.MFlow(**(asked | parameters))


def circle(rows: int = 300, seed: int = 0) -> np.ndarray:
    """Points near a circle in three dimensions."""
    random = np.random.default_rng(seed)
    angle = random.uniform(0.3, 2.8, rows)
    x = np.stack([np.cos(angle), np.sin(angle), 0.3 * angle], axis=1)
    return x + 0.01 * random.normal(size=x.shape)


@pytest.fixture(scope="session")
def x() -> np.ndarray:
    return circle()


@pytest.fixture(scope="session")
def fitted(x: np.ndarray) -> mflow.MFlow:
    return small().fit(x)


@pytest.fixture(scope="session")
def conditional() -> tuple[mflow.MFlow, np.ndarray, np.ndarray]:
    """A fit with a context, its rows and their contexts."""
    random = np.random.default_rng(1)
    theta = random.normal(size=(400, 1))
    u = random.normal(size=(400, 1)) + theta
    rows = np.hstack([u, 0.5 * u**2])
    return small(epochs=6).fit(rows, context=theta), rows, theta


@pytest.fixture(scope="session")
def program() -> Any:
    """The program, by its arguments."""
    path = os.environ.get("MFLOW_PROGRAM")
    if path is None:
        pytest.skip("MFLOW_PROGRAM does not name the program; `cargo xtask python` does")

    def run(*arguments: Any, cwd: Path) -> str:
        command = [path, *map(str, arguments)]
        environment = {k: v for k, v in os.environ.items() if k != "RAYON_NUM_THREADS"}
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
