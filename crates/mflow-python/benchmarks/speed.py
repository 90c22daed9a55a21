"""Scores of a million rows beside the program, and the time of a call with one row: `cargo xtask python --speed`.

The program reads a file and writes one, and so does Python here. Turns alternate, and medians are compared.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mflow
import numpy as np

ROWS = 1_000_000
TURNS = 3
CALLS = 2_000
#: Python over the program, at most.
RATIO = 1.1
#: Seconds of a call, at most.
OVERHEAD = 50e-6
#: The smallest flow, of which next to nothing has to be computed.
SMALLEST = {f"model.inner.{field}": 1 for field in ("layers", "hidden", "blocks")}


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def scores(folder: Path) -> float:
    """The time of Python over that of the program, for all scores of many rows."""
    rolls = mflow.simulators.get("swiss-roll")
    flow = mflow.MFlow(2, start="flat", epochs=1, random_state=0).fit(rolls.sample(1000))
    flow.save(folder / "model.safetensors")
    np.save(folder / "x.npy", rolls.sample(ROWS, random_state=1))
    score = [os.environ["MFLOW_PROGRAM"], "score", "model.safetensors", "x.npy", "--quiet", "--out"]
    environment = {k: v for k, v in os.environ.items() if k != "RAYON_NUM_THREADS"}

    def program() -> None:
        subprocess.run([*score, "theirs.npz"], cwd=folder, env=environment, check=True)

    def python() -> None:
        np.savez(folder / "ours.npz", **flow.scores(np.load(folder / "x.npy")))

    times = [(seconds(program), seconds(python)) for _ in range(TURNS)]
    theirs, ours = (statistics.median(column) for column in zip(*times, strict=True))
    for name, values in np.load(folder / "ours.npz").items():
        assert np.array_equal(values, np.load(folder / "theirs.npz")[name]), name
    alone = seconds(lambda: flow.score_samples(np.load(folder / "x.npy")))
    print(f"all scores of {ROWS} rows: program {theirs:.2f} s, Python {ours:.2f} s, ratio {ours / theirs:.3f}")
    print(f"score_samples of {ROWS} rows: {alone:.2f} s")
    return ours / theirs


def call() -> float:
    """Seconds of a call with one row."""
    x = mflow.simulators.get("circle").sample(300)
    flow = mflow.AmbientFlow(settings=SMALLEST, epochs=1, random_state=0).fit(x)
    row = x[:1]
    flow.score_samples(row)
    each = [seconds(lambda: flow.score_samples(row)) for _ in range(CALLS)]
    median = statistics.median(each)
    print(f"score_samples of one row, smallest flow: {1e6 * median:.1f} us")
    return median


def main() -> None:
    print(f"{mflow._mflow.threads()} threads")
    overhead = call()
    with tempfile.TemporaryDirectory() as folder:
        ratio = scores(Path(folder))
    if overhead > OVERHEAD or ratio > RATIO:
        sys.exit(f"expected a ratio of at most {RATIO} and at most {1e6 * OVERHEAD:.0f} us for a call")


main()
