"""The estimators, one class for each family of models, and how models come back from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from . import _mflow
from ._errors import FileError
from ._flow import _MODEL_FILE, Flow

_COMMON = """
    schedule : str, optional
        ``"sequential"`` (first the manifold, then the density on it), ``"alternating"``, ``"simultaneous"``, ``"ot"``,
        ``"ot-alternating"`` or ``"likelihood"``. By default what suits the model.
    epochs : int, optional
        Epochs of all phases together. Default: 100, of free-form models 300.
    restarts : int, optional
        If the manifold was not found, start again from other weights, up to so many times. Default: 0.
    batch_size : int, optional
        Rows per update. Default: 100.
    learning_rate : float, optional
        Learning rate at the start of each phase. By default what suits the model.
    normalize : str, optional
        ``"standardize"`` (default), ``"together"`` or ``"none"``; results are in data units in any case.
    normalize_context : str, optional
        The same of the context.
    dtype : str, optional
        Precision of training, ``"f32"`` (default) or ``"f64"``.
    settings : dict, optional
        Any field of the config by its path, such as ``{"model.outer.layers": 8}``, as ``--set`` of the program.
    random_state : int, RandomState or None
        An integer is the ``--seed`` of the program: the same rows then give the same bits, on as many threads.
    threads : int, optional
        Threads. Default: one for each core. The number of shards, on which the last bits depend, is this number unless
        ``settings`` has ``train.shards``.
    progress : bool or callable, optional
        True for a bar (needs tqdm); a function gets a dictionary with ``phase``, ``epoch``, ``epochs``, ``step``, ``steps``
        and ``loss``, at most ten times a second.
    run_dir : path, optional
        Folder for the run, with checkpoints; by default a temporary one.
    resume : bool
        Whether to go on with the run in ``run_dir``, if there is one.
"""


def _documented(cls: type[Any]) -> type[Any]:
    """Put what the parameters of all classes mean behind those of one."""
    cls.__doc__ = f"{cls.__doc__}{_COMMON}"
    return cls


@_documented
class MFlow(Flow):
    """A manifold-learning flow: the manifold is learned, and the density on it is exact (Brehmer & Cranmer 2020).

    >>> import mflow
    >>> x = mflow.simulators.get("circle").sample(300, random_state=1)
    >>> flow = mflow.MFlow(manifold_dim=1, epochs=2, random_state=0)
    >>> latents = flow.fit_transform(x)  # [300, 1]
    >>> flow.inverse_transform(latents).shape  # points of the manifold, [300, 2]
    (300, 2)

    Parameters
    ----------
    manifold_dim : int or "auto"
        Dimension of the manifold, at least 1 and less than the number of columns. ``"auto"`` takes what :func:`mflow.dim`
        recommends.
    model : str
        ``"m-flow"``, another kind of model (``"me-flow"``, ``"pie"``, ``"pae"``, ``"vae"``, ``"rif"``, ``"free-form"``, ..),
        or ``"auto"``: short trials choose one that finds the manifold.
    chart : str or dict, optional
        The closed shape that an M-flow deforms onto the data: ``"circle"``, ``"sphere"``, ``"torus"``, the table of a config,
        or ``"auto"``.
    start : str, optional
        Where the manifold starts: ``"flat"``, ``"unrolled"``, ``"autoencoder"``, ``"random"``; by default trials choose.
    conditional_manifold : bool
        Whether the manifold, not only the density on it, depends on the context."""

    def __init__(
        self,
        manifold_dim: int | str = "auto",
        *,
        model: str = "m-flow",
        chart: str | dict[str, Any] | None = None,
        start: str | None = None,
        conditional_manifold: bool = False,
        schedule: str | None = None,
        epochs: int | None = None,
        restarts: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        normalize: str | None = None,
        normalize_context: str | None = None,
        dtype: str | None = None,
        settings: dict[str, Any] | None = None,
        random_state: Any = None,
        threads: int | None = None,
        progress: Any = None,
        run_dir: Any = None,
        resume: bool = False,
    ) -> None:
        self._keep(locals())


@_documented
class AmbientFlow(Flow):
    """A density on all of the space, without a manifold: the model ``af``.

    Parameters
    ----------"""

    _kind: ClassVar[str | None] = "af"

    def __init__(
        self,
        *,
        schedule: str | None = None,
        epochs: int | None = None,
        restarts: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        normalize: str | None = None,
        normalize_context: str | None = None,
        dtype: str | None = None,
        settings: dict[str, Any] | None = None,
        random_state: Any = None,
        threads: int | None = None,
        progress: Any = None,
        run_dir: Any = None,
        resume: bool = False,
    ) -> None:
        self._keep(locals())


@_documented
class FreeForm(Flow):
    """Encoder and decoder networks without constraint; the density is exact where they invert each other: the model
    ``free-form``.

    Parameters
    ----------
    manifold_dim : int or "auto"
        Dimension of the manifold.
    start : str, optional
        Where the manifold starts: ``"flat"``, ``"unrolled"``, ``"autoencoder"``, ``"random"``; by default trials choose."""

    _kind: ClassVar[str | None] = "free-form"

    def __init__(
        self,
        manifold_dim: int | str = "auto",
        *,
        start: str | None = None,
        schedule: str | None = None,
        epochs: int | None = None,
        restarts: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        normalize: str | None = None,
        normalize_context: str | None = None,
        dtype: str | None = None,
        settings: dict[str, Any] | None = None,
        random_state: Any = None,
        threads: int | None = None,
        progress: Any = None,
        run_dir: Any = None,
        resume: bool = False,
    ) -> None:
        self._keep(locals())


@_documented
class Atlas(Flow):
    """Several charts glued together, for closed surfaces and manifolds in pieces: the models ``free-form-atlas`` and ``atlas``.

    Parameters
    ----------
    manifold_dim : int or "auto"
        Dimension of the manifold.
    charts : int, optional
        Number of charts. Default: 8, of M-flows 4.
    model : str
        ``"free-form-atlas"``, or ``"atlas"`` of M-flows."""

    def __init__(
        self,
        manifold_dim: int | str = "auto",
        *,
        charts: int | None = None,
        model: str = "free-form-atlas",
        schedule: str | None = None,
        epochs: int | None = None,
        restarts: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        normalize: str | None = None,
        normalize_context: str | None = None,
        dtype: str | None = None,
        settings: dict[str, Any] | None = None,
        random_state: Any = None,
        threads: int | None = None,
        progress: Any = None,
        run_dir: Any = None,
        resume: bool = False,
    ) -> None:
        self._keep(locals())

    charts: int | None

    def _settings(self) -> dict[str, Any]:
        settings = super()._settings()
        if self.charts is not None:
            settings.setdefault("model.charts", self.charts)
        return settings


@_documented
class KnownManifold(Flow):
    """A density on a manifold that is known: the model ``fom``.

    Parameters
    ----------
    chart : str or dict
        The manifold, in data units: ``"circle"``, ``"sphere"`` (of radius 1 around 0), ``"torus"``, or the table of a config,
        such as ``{"kind": "hypersphere", "dim": 2, "radius": 2.0, "center": [0.0, 0.0, 0.0]}``."""

    _kind: ClassVar[str | None] = "fom"

    def __init__(
        self,
        chart: str | dict[str, Any] = "sphere",
        *,
        schedule: str | None = None,
        epochs: int | None = None,
        restarts: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        normalize: str | None = None,
        normalize_context: str | None = None,
        dtype: str | None = None,
        settings: dict[str, Any] | None = None,
        random_state: Any = None,
        threads: int | None = None,
        progress: Any = None,
        run_dir: Any = None,
        resume: bool = False,
    ) -> None:
        self._keep(locals())


def _estimator_for(kind: str, manifold_dim: int, charts: int, config: dict[str, Any]) -> Flow:
    """An estimator whose parameters say what a model is, as far as they can."""
    if kind == "af":
        return AmbientFlow()
    if kind == "free-form":
        return FreeForm(manifold_dim)
    if kind in ("atlas", "free-form-atlas"):
        return Atlas(manifold_dim, charts=charts, model=kind)
    if kind == "fom":
        return KnownManifold(config.get("chart", "sphere"))
    return MFlow(manifold_dim, model=kind)


def load(path: Any, *, dtype: str | None = None) -> Flow:
    """The estimator of a model file or a run folder, of Python or of the program.

    ``dtype``, ``"f32"`` or ``"f64"``, converts its weights once.

    >>> import mflow, pathlib, tempfile
    >>> x = mflow.simulators.get("circle").sample(300, random_state=1)
    >>> flow = mflow.MFlow(manifold_dim=1, epochs=2, random_state=0).fit(x)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> flow.save(path)
    >>> bool((mflow.load(path).score_samples(x) == flow.score_samples(x)).all())
    True
    """
    place = Path(path)
    is_run = place.is_dir()
    if is_run and not (place / _MODEL_FILE).is_file():
        raise FileError(f"{place}: expected a model file or the folder of a finished run, found neither")
    model = _mflow.Model.load(place / _MODEL_FILE if is_run else place, dtype)
    estimator = _estimator_of(model)
    if is_run and dtype is None:
        estimator._read(place)
    return estimator


def _estimator_of(model: _mflow.Model) -> Flow:
    signature = model.signature

    estimator = _estimator_for(
        signature["model"],
        signature["manifold_dim"],
        signature["charts"],
        json.loads(model.config),
    )
    estimator._set(model)
    if model.columns is not None:
        estimator.feature_names_in_ = np.asarray(model.columns, dtype=object)
    return estimator
