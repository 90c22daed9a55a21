"""Several threads of Python, signals, and forks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mflow
import numpy as np
from conftest import small


def test_many_threads_ask_one_model(fitted: mflow.MFlow, x: np.ndarray) -> None:
    exact = fitted.score_samples(x)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: fitted.score_samples(x), range(64)):
            np.testing.assert_array_equal(found, exact)


def test_many_threads_fit(x: np.ndarray) -> None:
    with ThreadPoolExecutor(3) as pool:
        scores = list(pool.map(lambda _: small().fit(x).score_samples(x), range(3)))
    for found in scores[1:]:
        np.testing.assert_array_equal(found, scores[0])


def test_other_threads_run_while_one_fits(x: np.ndarray) -> None:
    ticks = 0
    done = threading.Event()

    def count() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.005)

    counter = threading.Thread(target=count)
    counter.start()
    began = time.perf_counter()
    small(epochs=20).fit(x)
    took = time.perf_counter() - began
    done.set()
    counter.join()
    assert ticks > 20 * took, f"{ticks} ticks in {took} s: the GIL was held"


SCRIPT = """
import os, signal, sys, threading
sys.path.insert(0, {tests!r})
from conftest import circle, small
steps = []
def hear(said):
    if not steps:
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    steps.append(said["step"])
try:
    small(epochs=100000, run_dir={run!r}, progress=hear).fit(circle())
except KeyboardInterrupt:
    sys.exit(17)
"""


def test_ctrl_c_stops_at_a_checkpoint(tmp_path: Path) -> None:
    script = SCRIPT.format(tests=str(Path(__file__).parent), run=str(tmp_path / "run"))
    done = subprocess.run([sys.executable, "-c", script], timeout=120, check=False)
    assert done.returncode == 17
    assert (tmp_path / "run" / "checkpoint.safetensors").is_file()


def test_a_fork_can_ask(fitted: mflow.MFlow, x: np.ndarray) -> None:
    exact = fitted.score_samples(x)
    child = os.fork()
    if child == 0:
        os._exit(0 if (fitted.score_samples(x) == exact).all() else 1)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            assert status == 0
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("a fork waits for threads that it does not have")
