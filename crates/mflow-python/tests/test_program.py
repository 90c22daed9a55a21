"""The same bits as the program, for the same seed and as many shards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mflow
import numpy as np
import pytest
from conftest import SETTINGS, circle, small


def options(settings: dict[str, Any]) -> list[str]:
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


def same(a: Any, b: Any) -> None:
    np.testing.assert_array_equal(np.asarray(a, np.float64), np.asarray(b, np.float64))


@pytest.fixture(scope="module")
def run(program: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    np.save(folder / "x.npy", circle())
    fit = ["fit", "x.npy", "--model", "m-flow", "--manifold-dim", 1, "--start", "flat", "--epochs", 2]
    program(*fit, "--seed", 3, "--threads", 2, *options(SETTINGS), "--out", "run", cwd=folder)
    return folder


def test_a_fit_has_the_weights_of_the_program(run: Path, fitted: mflow.MFlow) -> None:
    theirs = mflow.load(run / "run")
    x = circle()
    same(theirs.score_samples(x), fitted.score_samples(x))
    same(theirs.transform(x), fitted.transform(x))
    assert theirs.config_ == fitted.config_
    assert [e["train_loss"] for e in theirs.history_] == [e["train_loss"] for e in fitted.history_]
    assert theirs.held_out_ == fitted.held_out_


def test_scores_projections_and_draws_are_those_of_the_program(
    run: Path, program: Any, fitted: mflow.MFlow
) -> None:
    program("score", "run", "x.npy", "--out", "scores.npz", cwd=run)
    scores, x = np.load(run / "scores.npz"), circle()
    for name, values in fitted.scores(x).items():
        same(scores[name], values)
    program("project", "run", "x.npy", "--out", "p.npy", cwd=run)
    same(np.load(run / "p.npy"), fitted.project(x))
    program("sample", "run", "-n", 700, "--seed", 5, "--out", "s.npy", cwd=run)
    same(np.load(run / "s.npy"), fitted.sample(700, random_state=5))
    np.save(run / "u.npy", fitted.transform(x))
    program("decode", "run", "u.npy", "--out", "d.npy", cwd=run)
    same(np.load(run / "d.npy"), fitted.inverse_transform(fitted.transform(x)))


def test_the_program_reads_what_python_saves(run: Path, program: Any, fitted: mflow.MFlow) -> None:
    fitted.save(run / "mine.safetensors")
    program("score", "mine.safetensors", "x.npy", "--out", "mine.npz", cwd=run)
    same(np.load(run / "mine.npz")["log_prob"], fitted.score_samples(circle()))


def test_weights_and_trials_are_those_of_the_program(program: Any, tmp_path: Path) -> None:
    x = circle(200)
    w = np.linspace(0.5, 2.0, 200)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "w.npy", w)
    fit = ["fit", "x.npy", "--weights", "w.npy", "--manifold-dim", 1, "--epochs", 2, "--seed", 1]
    program(*fit, "--threads", 2, "--out", "run", cwd=tmp_path)
    mine = mflow.MFlow(1, model="auto", epochs=2, random_state=1, threads=2).fit(x, sample_weight=w)
    theirs = mflow.load(tmp_path / "run")
    assert theirs.config_ == mine.config_, "the trials chose the same model"
    same(theirs.score_samples(x), mine.score_samples(x))


def test_dimension_data_and_posterior_are_those_of_the_program(
    program: Any, tmp_path: Path, conditional: Any
) -> None:
    program("data", "torus", "-n", 800, "--seed", 4, "--out", "torus", cwd=tmp_path)
    x = mflow.simulators.get("torus").sample(800, random_state=4)
    same(np.load(tmp_path / "torus" / "x.npy"), x)
    said = json.loads(program("dim", "torus/x.npy", "--json", cwd=tmp_path))
    mine = mflow.dim(x)
    assert (said["recommended"], said["because"]) == (mine.recommended, mine.because)
    assert said["curves"] == mine.curves
    model, rows, _ = conditional
    model.save(tmp_path / "m.safetensors")
    np.save(tmp_path / "o.npy", rows[:3])
    chains = ["--prior", "normal:0,2", "--chains", 2, "--draws", 50, "--burn-in", 50, "--seed", 6]
    program("posterior", "m.safetensors", "o.npy", *chains, "--out", "p", cwd=tmp_path)
    theirs = np.load(tmp_path / "p" / "posterior.npz")
    ours = model.posterior(
        rows[:3], "normal:0,2", chains=2, draws=50, burn_in=50, random_state=6
    )
    for name in ("samples", "log_prob", "r_hat", "ess"):
        same(theirs[name], getattr(ours, name))


def test_errors_have_the_texts_of_the_program(program: Any, tmp_path: Path) -> None:
    with pytest.raises(mflow.ConfigError, match="`manifold_dim`|below") as refused:
        small(manifold_dim=3).fit(circle())
    np.save(tmp_path / "x.npy", circle())
    with pytest.raises(AssertionError) as theirs:
        program("fit", "x.npy", "--manifold-dim", 3, "--model", "m-flow", "--out", "r", cwd=tmp_path)
    assert str(refused.value).split(":")[-1].strip() in str(theirs.value)
