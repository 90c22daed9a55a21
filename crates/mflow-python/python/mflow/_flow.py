"""What all estimators share: the bookkeeping of scikit-learn around a model of the library."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from . import _mflow
from ._convert import Floats, context_of, matrix, refuse_masked, seed_of
from ._errors import DataError, UnsupportedError
from ._posterior import Posterior, posterior
from ._progress import LOGGER, Ear

_TYPES = [np.float64, np.float32]
_MODEL_FILE = "model.safetensors"
#: What of a run folder a report is made of, beside the model; the rest is for going on after an interruption.
_KEPT = ("config.toml", "metrics.jsonl", "attempts.json", "held_out.json", "points.npy")


class Flow(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """What all models can be asked. Create one of the classes below, or :func:`mflow.load` one.

    Shapes: rows ``X`` are ``[B, D]`` in data units, latents ``[B, N]``, contexts ``[B, C]``, or ``[1, C]`` for all rows.
    Results are in double precision, of a model in single precision as exact as its numbers are.
    """

    #: The kind of model, where the class says it.
    _kind: ClassVar[str | None] = None
    #: Parameters that are fields of a request by the same name.
    _fields: ClassVar[tuple[str, ...]] = (
        "model",
        "manifold_dim",
        "chart",
        "start",
        "schedule",
        "epochs",
        "restarts",
        "batch_size",
        "learning_rate",
        "normalize",
        "normalize_context",
        "conditional_manifold",
        "dtype",
    )

    model_: _mflow.Model
    random_state: Any
    settings: Any
    threads: int | None
    progress: Any
    run_dir: Any
    resume: bool
    _files: dict[str, bytes]

    # What is asked for.

    def _keep(self, parameters: dict[str, Any]) -> None:
        """Keep the parameters of a constructor, as they are."""
        for name in self._get_param_names():
            setattr(self, name, parameters[name])

    def _settings(self) -> dict[str, Any]:
        """Fields of the config that parameters of a class stand for."""
        return dict(self.settings or {})

    def _request(self, seed: int) -> str:
        asked: dict[str, Any] = {"seed": seed, "set": self._settings()}
        if self._kind is not None:
            asked["model"] = self._kind
        for name in self._fields:
            value = getattr(self, name, None)
            if isinstance(value, np.generic):
                value = value.item()
            if value is not None:
                asked[name] = value
        return json.dumps(asked)

    # Fitting.

    def fit(
        self, X: Any, y: Any = None, *, context: Any = None, sample_weight: Any = None
    ) -> Flow:
        """Learn the manifold and the density on it.

        ``X`` is ``[n, D]`` in data units, ``context`` ``[n, C]``: the density then depends on it. ``sample_weight`` ``[n]`` says
        how many rows each row stands for. ``y`` is ignored. A tenth of the rows is held out, to choose epochs and to judge
        the manifold. The first Ctrl-C stops at a checkpoint: with ``run_dir`` and ``resume=True`` the same call goes on.
        """
        refuse_masked(X, "X")
        X = validate_data(
            self, X, dtype=_TYPES, ensure_min_samples=2, ensure_min_features=2, order="C"
        )
        context = context_of(context, len(X))
        if context is not None and len(context) != len(X):
            context = np.repeat(context, len(X), axis=0)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
        names = getattr(self, "feature_names_in_", None)
        names = None if names is None else [str(name) for name in names]
        seed = seed_of(self.random_state)
        ear = Ear(self.progress)
        with tempfile.TemporaryDirectory(prefix="mflow-") as own:
            folder = Path(own) / "run" if self.run_dir is None else Path(self.run_dir)
            try:
                done = _mflow.fit(
                    self._request(seed),
                    X,
                    context,
                    weights,
                    names,
                    folder,
                    self.resume,
                    self.threads,
                    ear,
                )
            except KeyboardInterrupt:
                if self.run_dir is not None:
                    LOGGER.warning(
                        "interrupted; what was done is in %s: fit again with resume=True", folder
                    )
                raise
            finally:
                ear.close()
            if not done:
                raise KeyboardInterrupt
            self._read(folder)
        self.seed_ = seed
        return self

    def _read(self, folder: Path) -> None:
        """Take a finished run."""
        self._set(_mflow.Model.load(folder / _MODEL_FILE, None))
        files = {name: folder / name for name in _KEPT}
        self._files = {name: path.read_bytes() for name, path in files.items() if path.is_file()}

    def _set(self, model: _mflow.Model) -> None:
        """Take a model."""
        self.model_ = model
        signature = model.signature
        self.n_features_in_ = signature["data_dim"]
        self.manifold_dim_ = signature["manifold_dim"]
        self.config_ = json.loads(model.config)
        self._files = {}

    @property
    def history_(self) -> list[dict[str, Any]]:
        """The losses of each epoch: ``phase``, ``epoch``, ``train_loss``, ``validation_loss``, ``learning_rate``,
        ``gradient_norm``."""
        check_is_fitted(self)
        lines = self._files.get("metrics.jsonl", b"").decode().splitlines()
        return [json.loads(line) for line in lines]

    @property
    def held_out_(self) -> dict[str, Any] | None:
        """What held-out rows say of the fit: mean ``reconstruction_error`` and ``log_prob`` with errors, ``principal_error`` of
        as many principal components, ``outliers``; None if it is not known."""
        check_is_fitted(self)
        text = self._files.get("held_out.json")
        return None if text is None else dict(json.loads(text))

    # Questions.

    def _ask(self, what: str, X: Any, context: Any) -> Floats:
        """The answer of the model to a question of rows."""
        # Arrays that need no conversion go to the library at once, which looks at shape and values itself.
        if (
            context is None
            and type(X) is np.ndarray
            and X.ndim == 2
            and len(X) > 0
            and X.dtype == np.float64
            and "model_" in self.__dict__
            and "feature_names_in_" not in self.__dict__
        ):
            try:
                return self.model_._ask(what, X, None, self.threads)
            except DataError:
                pass  # said again, in the words of scikit-learn where it has them
        check_is_fitted(self)
        refuse_masked(X, "X")
        rows = validate_data(self, X, dtype=_TYPES, reset=False)
        return self.model_._ask(what, rows, context_of(context, len(rows)), self.threads)

    def score_samples(self, X: Any, context: Any = None) -> Floats:
        """Log-density of each row, ``[B]``, in nats.

        Of models with a manifold it is with respect to volume on the manifold, in data units, at the projection of the row,
        and says nothing of how far off the row is: look at :meth:`reconstruction_error` too. Of ``af`` and ``pie`` it is
        with respect to the volume of the whole space.
        """
        return self._ask("log_prob", X, context)

    def score(self, X: Any, y: Any = None, *, context: Any = None) -> float:
        """Mean of :meth:`score_samples`, in nats. ``y`` is ignored."""
        return float(np.mean(self.score_samples(X, context)))

    def reconstruction_error(self, X: Any, context: Any = None) -> Floats:
        """Euclidean distance of each row to its projection onto the manifold, ``[B]``, in data units."""
        return self._ask("reconstruction_error", X, context)

    def project(self, X: Any, context: Any = None) -> Any:
        """The projection of each row onto the manifold, ``[B, D]``, in data units."""
        return self._framed(self._ask("project", X, context), self._columns(), X)

    def transform(self, X: Any, context: Any = None) -> Floats:
        """The latent of each row, ``[B, N]``: under the model standard normal, or on a closed chart uniform angles. Of a
        model of several charts the last column is the number of the chart."""
        return self._ask("encode", X, context)

    def inverse_transform(self, X: Any, context: Any = None) -> Any:
        """The points of the manifold that have these latents, ``[B, N]`` to ``[B, D]``, in data units."""
        check_is_fitted(self)
        latent = matrix(X)
        if latent.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {latent.shape[1]} features, but {type(self).__name__} has {self._n_features_out} latents"
            )
        beside = context_of(context, len(latent))
        return self._framed(
            self.model_._ask("decode", latent, beside, self.threads), self._columns(), X
        )

    def decode_jacobian(self, X: Any, context: Any = None) -> Floats:
        """The rows ``dx/du_i`` of the Jacobian of :meth:`inverse_transform` at latents ``X``, ``[B, N, D]``."""
        check_is_fitted(self)
        latent = matrix(X)
        beside = context_of(context, len(latent))
        return self.model_._ask("decode_jacobian", latent, beside, self.threads)

    def log_prob_gradient(self, X: Any, context: Any = None) -> Floats:
        """The gradient of :meth:`score_samples` with respect to each row, ``[B, D]``."""
        return self._ask("log_prob_gradient", X, context)

    def scores(self, X: Any, context: Any = None) -> dict[str, Floats]:
        """All that ``mflow score`` writes, by its names: ``log_prob`` ``[B]``, ``reconstruction_error`` ``[B]``, ``latent``
        ``[B, N]``, as far as the model has them."""
        values = self._ask("scores", X, context)
        names = self.model_.score_names
        found = {name: values[:, i] for i, name in enumerate(names)}
        if self.model_.signature["is_generative"]:
            found["latent"] = values[:, len(names) :]
        return found

    def outlier_scores(self, X: Any, context: Any = None) -> dict[str, Floats]:
        """Scores that are higher for outliers, ``[B]`` each: ``distance``, the distance to the manifold, and of models with a
        density ``surprise``, its negative logarithm. They are two numbers since they are in different units: a row is
        unlikely if either is high."""
        scores = self.scores(X, context)
        found = {}
        if "reconstruction_error" in scores:
            found["distance"] = scores["reconstruction_error"]
        if "log_prob" in scores:
            found["surprise"] = -scores["log_prob"]
        return found

    def sample(
        self,
        n_samples: int | None = None,
        context: Any = None,
        *,
        random_state: Any = None,
        on_manifold: bool = False,
    ) -> Any:
        """Draws from the model, ``[n, D]``, in data units: by default one, of a conditional model one for each row of the
        context. An integer ``random_state`` is the seed of ``mflow sample``. ``on_manifold`` draws points of the manifold
        from models whose samples lie around it (``pie``, ``vae``)."""
        check_is_fitted(self)
        if n_samples is None:
            n_samples = 1 if context is None else len(matrix(np.atleast_2d(context), "context"))
        if n_samples < 1:
            raise ValueError(f"n_samples: expected 1 or more, found {n_samples}")
        if not self.model_.signature["is_generative"]:
            raise UnsupportedError(f"`{self._name}` estimates ratios of likelihoods: it has no samples")
        beside = context_of(context, n_samples)
        seed = seed_of(random_state)
        drawn = self.model_.sample(n_samples, beside, seed, on_manifold, self.threads)
        return self._framed(drawn, self._columns(), None)

    def posterior(
        self,
        observed: Any,
        prior: str | list[str],
        *,
        names: list[str] | None = None,
        sampler: str = "nuts",
        chains: int = 4,
        draws: int = 1000,
        burn_in: int = 500,
        random_state: Any = 0,
    ) -> Posterior:
        """Sample the parameters of a simulator, which were the context of the fit, given observed rows, ``[n, D]``, that are
        independent draws at the same parameters.

        ``prior`` is ``"normal:MEAN,STD"`` or ``"uniform:LOW,HIGH"``, one for all parameters or one for each.
        """
        check_is_fitted(self)
        return posterior(
            self.model_,
            observed,
            prior,
            names,
            sampler,
            chains,
            draws,
            burn_in,
            random_state,
            self.threads,
        )

    # Files.

    def save(self, path: Any) -> None:
        """Write the model file that the program reads too, and :func:`mflow.load`."""
        check_is_fitted(self)
        self.model_.save(Path(path))

    def report(self, folder: Any) -> Path:
        """Write ``report.html``, the page that ``mflow fit`` leaves, into a folder; its path."""
        check_is_fitted(self)
        if "config.toml" not in self._files:
            raise UnsupportedError(
                "a report needs the run of a fit, and this estimator was loaded from a model file alone"
            )
        with tempfile.TemporaryDirectory(prefix="mflow-") as own:
            run = Path(own)
            for name, content in self._files.items():
                (run / name).write_bytes(content)
            self.model_.save(run / _MODEL_FILE)
            return Path(_mflow.write_report([run], Path(folder), self.threads))

    def plot(self, X: Any = None, *, ax: Any = None, n_samples: int = 1000) -> Any:
        """Draw samples of the model, coloured by their log-density, and rows ``X`` beside them, by their first two columns, or
        three in an axis of three dimensions; the axis. Needs matplotlib."""
        from ._plot import plot

        check_is_fitted(self)
        return plot(self, X, ax, n_samples)

    # Names.

    @property
    def _name(self) -> str:
        return str(self.model_.signature["model"])

    @property
    def _n_features_out(self) -> int:
        return int(self.model_.signature["latent_dim"])

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """The names of the latents: ``latent_0``, ``latent_1``, .., and of several charts ``chart``."""
        check_is_fitted(self)
        signature = self.model_.signature
        names = [f"latent_{i}" for i in range(signature["manifold_dim"])]
        if signature["charts"] > 1:
            names.append("chart")
        return np.asarray(names, dtype=object)

    def _columns(self) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            return [f"x{i}" for i in range(self.n_features_in_)]
        return [str(name) for name in names]

    def _framed(self, values: Floats, columns: list[str], X: Any) -> Any:
        """As ``set_output`` asks for."""
        wanted = getattr(self, "_sklearn_output_config", {}).get("transform")
        if wanted is None:
            wanted = get_config()["transform_output"]
        if wanted == "pandas":
            import pandas as pd

            return pd.DataFrame(values, columns=columns, index=getattr(X, "index", None))
        if wanted == "polars":
            import polars as pl

            return pl.DataFrame(values, schema=columns)
        return values

    def __sklearn_is_fitted__(self) -> bool:
        return "model_" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        return tags
