"""The estimators as scikit-learn and Python see them."""

from __future__ import annotations

import copy
import logging
import pickle
from pathlib import Path
from typing import Any

import mflow
import numpy as np
import pytest
from conftest import SETTINGS, circle, small
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def test_shapes_and_laws(fitted: mflow.MFlow, x: np.ndarray) -> None:
    assert fitted.score_samples(x).shape == (300,)
    assert fitted.score(x) == np.mean(fitted.score_samples(x))
    latent = fitted.transform(x)
    assert latent.shape == (300, 1)
    projection = fitted.project(x)
    np.testing.assert_allclose(fitted.inverse_transform(latent), projection, atol=1e-4)
    distance = np.linalg.norm(x - projection, axis=1)
    np.testing.assert_allclose(fitted.reconstruction_error(x), distance, rtol=1e-3, atol=1e-5)
    assert fitted.decode_jacobian(latent).shape == (300, 1, 3)
    assert fitted.log_prob_gradient(x[:5]).shape == (5, 3)
    assert set(fitted.outlier_scores(x)) == {"distance", "surprise"}
    assert fitted.sample(7, random_state=1).shape == (7, 3)
    assert fitted.sample(random_state=1).shape == (1, 3)
    assert (fitted.sample(7, random_state=1) == fitted.sample(7, random_state=1)).all()
    assert (fitted.sample(7, random_state=1) != fitted.sample(7, random_state=2)).any()


def test_the_gradient_is_that_of_differences(fitted: mflow.MFlow, x: np.ndarray) -> None:
    model, rows, step = fitted, x[:4], 1e-2
    gradient = model.log_prob_gradient(rows)
    for j in range(3):
        unit = step * np.eye(3)[j]
        slope = (model.score_samples(rows + unit) - model.score_samples(rows - unit)) / (2 * step)
        np.testing.assert_allclose(gradient[:, j], slope, rtol=0.1, atol=0.05)


def test_parameters_clone_pickle_and_copy(fitted: mflow.MFlow, x: np.ndarray) -> None:
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    assert not hasattr(again, "model_")
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert (other.score_samples(x) == fitted.score_samples(x)).all()
        assert other.held_out_ == fitted.held_out_
    assert again.set_params(epochs=1).epochs == 1
    with pytest.raises(NotFittedError):
        again.score_samples(x)


def test_files_come_back(fitted: mflow.MFlow, x: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    fitted.save(path)
    loaded = mflow.load(path)
    assert (loaded.score_samples(x) == fitted.score_samples(x)).all()
    assert (loaded.manifold_dim, loaded.n_features_in_) == (1, 3)
    double = mflow.load(path, dtype="f64")
    np.testing.assert_allclose(double.score_samples(x), fitted.score_samples(x), rtol=1e-3, atol=1e-3)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(mflow.FileError, match="safetensors"):
        mflow.load(path)
    with pytest.raises(OSError):
        mflow.load(tmp_path / "none")


def test_pandas_in_and_out(x: np.ndarray) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(x, columns=["a", "b", "c"], index=np.arange(300) + 7)
    model = small().set_output(transform="pandas").fit(frame)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    latent = model.transform(frame)
    assert list(latent.columns) == ["latent_0"]
    assert (latent.index == frame.index).all()
    assert list(model.project(frame).columns) == ["a", "b", "c"]
    assert list(model.sample(3).columns) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        model.score_samples(frame[["b", "a", "c"]])
    plain = small().fit(x)
    assert (plain.score_samples(x) == model.score_samples(frame)).all()


def test_a_pipeline(x: np.ndarray) -> None:
    pipeline = make_pipeline(StandardScaler(), small())
    assert pipeline.fit(x).transform(x).shape == (300, 1)
    assert np.isfinite(pipeline.score(x))
    assert pipeline.inverse_transform(pipeline.transform(x)).shape == x.shape


@pytest.mark.parametrize(
    "model",
    [
        mflow.AmbientFlow(epochs=1, random_state=0),
        mflow.FreeForm(1, epochs=2, start="flat", random_state=0),
        mflow.Atlas(1, charts=2, epochs=2, random_state=0),
        mflow.KnownManifold("sphere", epochs=1, random_state=0),
        small(model="pie"),
        small(model="auto"),
        small(manifold_dim="auto"),
    ],
    ids=lambda model: type(model).__name__ + str(getattr(model, "model", "")),
)
def test_every_class_fits_scores_and_draws(model: mflow.Flow, x: np.ndarray) -> None:
    model.fit(x)
    assert np.isfinite(model.score_samples(x)).all()
    assert model.sample(4, random_state=0).shape == (4, 3)
    latent = model.transform(x)
    assert latent.shape == (300, len(model.get_feature_names_out()))
    np.testing.assert_allclose(model.inverse_transform(latent), model.project(x), atol=1e-3)
    loaded = pickle.loads(pickle.dumps(model))
    assert (loaded.score_samples(x) == model.score_samples(x)).all()


def test_a_known_manifold_is_where_it_is(x: np.ndarray) -> None:
    model = mflow.KnownManifold("sphere", epochs=1, random_state=0).fit(x)
    np.testing.assert_allclose(np.linalg.norm(model.sample(50), axis=1), 1.0, atol=1e-5)


def test_models_without_a_density_say_so(x: np.ndarray) -> None:
    model = small(model="vae", start=None, settings={"train.shards": 2}).fit(x)
    with pytest.raises(mflow.UnsupportedError, match="intractable"):
        model.score_samples(x)
    assert "surprise" not in model.outlier_scores(x)


def test_contexts(conditional: Any) -> None:
    model, rows, theta = conditional
    given = model.score_samples(rows, theta)
    assert given.shape == (400,)
    one = model.score_samples(rows, [[0.5]])
    all_same = model.score_samples(rows, np.full((400, 1), 0.5))
    assert (one == all_same).all()
    assert (model.score_samples(rows, theta[:, 0]) == given).all(), "a vector is a column"
    assert model.sample(context=theta).shape == (400, 2)
    with pytest.raises(mflow.DataError, match="context"):
        model.score_samples(rows)
    with pytest.raises(ValueError, match="expected 400 rows"):
        model.score_samples(rows, theta[:5])


def test_weights_count_rows(x: np.ndarray) -> None:
    equal = small().fit(x, sample_weight=np.ones(300))
    assert np.isfinite(equal.score(x))
    with pytest.raises(ValueError, match="sample_weight"):
        small().fit(x, sample_weight=np.ones(5))


def test_posterior_is_what_arviz_takes(conditional: Any) -> None:
    model, rows, _ = conditional
    found = model.posterior(rows[:5], "normal:0,1", names=["shift"], chains=2, draws=40, burn_in=40)
    assert found.samples.shape == (2, 40, 1)
    assert found.draws["shift"].shape == found.sample_stats["lp"].shape == (2, 40)
    assert "shift" in str(found)
    with pytest.raises(mflow.DataError, match="normal:MEAN,STD"):
        model.posterior(rows[:5], "gauss")
    with pytest.raises(mflow.ConfigError, match="sampler"):
        model.posterior(rows[:5], "normal:0,1", sampler="gibbs")


def test_history_reports_and_plots(fitted: mflow.MFlow, x: np.ndarray, tmp_path: Path) -> None:
    assert {"phase", "train_loss", "validation_loss"} <= set(fitted.history_[0])
    assert fitted.held_out_ is not None
    page = fitted.report(tmp_path)
    assert "plotly" in page.read_text()
    pytest.importorskip("matplotlib").use("agg")
    axis = fitted.plot(x)
    axis.figure.savefig(tmp_path / "plot.png")
    fitted.save(tmp_path / "m.safetensors")
    with pytest.raises(mflow.UnsupportedError, match="run"):
        mflow.load(tmp_path / "m.safetensors").report(tmp_path)


def test_progress_and_log(x: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[dict[str, Any]] = []
    with caplog.at_level(logging.DEBUG, "mflow"):
        small(progress=heard.append).fit(x)
    assert heard and set(heard[0]) == {"phase", "epoch", "epochs", "step", "steps", "loss"}
    texts = [record.message for record in caplog.records]
    assert any("300 rows of 3 columns" in text for text in texts)
    assert any("epoch 1" in text for text in texts)


def test_an_exception_of_a_callback_stops_the_fit(x: np.ndarray) -> None:
    def stop(_: dict[str, Any]) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        small(progress=stop, epochs=100).fit(x)


def test_settings_and_random_states(x: np.ndarray) -> None:
    model = small(random_state=np.random.RandomState(0)).fit(x)
    seed = int(np.random.RandomState(0).randint(2**31))
    assert model.seed_ == seed
    assert (model.score_samples(x) == small(random_state=seed).fit(x).score_samples(x)).all()
    assert model.config_["outer"]["layers"] == 2
    with pytest.raises(mflow.ConfigError, match="no_such"):
        small(settings=SETTINGS | {"model.outer.no_such": 1}).fit(x)
    with pytest.raises(mflow.ConfigError, match="m-flaw"):
        small(model="m-flaw").fit(x)
    with pytest.raises(ValueError, match="random_state"):
        small(random_state=-1).fit(x)


def test_a_run_folder_is_continued(x: np.ndarray, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(said: dict[str, Any]) -> None:
        if said["step"] > 3:
            raise Enough

    whole = small(epochs=30).fit(x)
    with pytest.raises(Enough):
        small(epochs=30, run_dir=tmp_path / "run", progress=stop).fit(x)
    with pytest.raises(mflow.FileError):
        small(epochs=30, run_dir=tmp_path / "run").fit(x)
    resumed = small(epochs=30, run_dir=tmp_path / "run", resume=True).fit(x)
    assert (resumed.score_samples(x) == whole.score_samples(x)).all()
    assert (mflow.load(tmp_path / "run").transform(x) == whole.transform(x)).all()


def test_a_run_is_continued_by_other_threads(x: np.ndarray, tmp_path: Path) -> None:
    settings = {name: value for name, value in SETTINGS.items() if name != "train.shards"}

    def stop(said: dict[str, Any]) -> None:
        if said["step"] > 3:
            raise KeyboardInterrupt

    whole = small(epochs=30, settings=settings, threads=2).fit(x)
    with pytest.raises(KeyboardInterrupt):
        small(epochs=30, settings=settings, threads=2, run_dir=tmp_path, progress=stop).fit(x)
    again = small(epochs=30, settings=settings, threads=1, run_dir=tmp_path, resume=True).fit(x)
    assert (again.score_samples(x) == whole.score_samples(x)).all()
