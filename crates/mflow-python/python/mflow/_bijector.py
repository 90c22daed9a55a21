"""Invertible maps by themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import _mflow
from ._convert import Floats


def _array(x: Any) -> Floats:
    """Any array in double precision: of NumPy, or through DLPack of torch, jax and others."""
    if not isinstance(x, np.ndarray) and hasattr(x, "__dlpack__"):
        x = np.from_dlpack(x)
    return np.asarray(x, dtype=np.float64)


class Bijector:
    """An invertible map with its log-determinants and Jacobians, from the table of a config.

    ``config`` has the field ``kind`` and those of that kind, as in a config file: ``coupling``, ``autoregressive``,
    ``lu_linear``, ``permutation``, ``act_norm``, ``chain`` and others. Weights are drawn by ``seed``, or are those of
    ``parameters``, by name as :attr:`parameters` gives them.

    ``forward`` maps latent to data, ``inverse`` maps back. Points are ``[B, D]``, of images ``[B, H, W, C]``, contexts
    ``[B, C]``, log-determinants ``[B]``, the natural logarithm of ``|det J|`` of the map that was applied.

    >>> import numpy as np
    >>> f = Bijector({"kind": "lu_linear", "dim": 2})
    >>> x = np.array([[0.5, -1.0]])
    >>> y = f.forward(x)
    >>> bool(np.allclose(f.inverse(y), x))
    True
    >>> bool(np.allclose(np.linalg.slogdet(f.jacobian(x)[0])[1], f.log_det(x)))
    True
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        seed: int = 0,
        dtype: str = "f64",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        if dtype not in ("f32", "f64"):
            raise ValueError(f"`dtype`: expected `f32` or `f64`, found `{dtype}`")
        self.config = dict(config)
        given = None
        if parameters is not None:
            given = {name: _array(values) for name, values in parameters.items()}
        self._map = _mflow.Bijector(json.dumps(self.config), seed, dtype == "f64", given)

    @property
    def parameters(self) -> dict[str, Floats]:
        """Parameters and buffers by name, weights ``[out, in]`` as in PyTorch."""
        return self._map.parameters()

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of a latent point."""
        return tuple(self._map.shapes[0])

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Shape of a data point."""
        return tuple(self._map.shapes[1])

    @property
    def context_dim(self) -> int | None:
        """Number of context features ``C``, if the map has a context."""
        return self._map.context_dim

    def _call(self, x: Any, context: Any, inverse: bool) -> tuple[Floats, Floats]:
        beside = None if context is None else _array(context)
        return self._map.map(_array(x), beside, inverse)

    def forward(self, x: Any, context: Any = None) -> Floats:
        """Latent points to data points."""
        return self._call(x, context, False)[0]

    def inverse(self, y: Any, context: Any = None) -> Floats:
        """Data points to latent points."""
        return self._call(y, context, True)[0]

    def log_det(self, x: Any, context: Any = None, *, inverse: bool = False) -> Floats:
        """``ln |det J|`` of ``forward`` at ``x``, or of ``inverse``, ``[B]``."""
        return self._call(x, context, inverse)[1]

    def forward_and_log_det(self, x: Any, context: Any = None) -> tuple[Floats, Floats]:
        """Both from one pass."""
        return self._call(x, context, False)

    def inverse_and_log_det(self, y: Any, context: Any = None) -> tuple[Floats, Floats]:
        """Both from one pass."""
        return self._call(y, context, True)

    def push(
        self, x: Any, tangents: Any, context: Any = None, *, inverse: bool = False
    ) -> Floats:
        """The tangent rows ``[B, K, D]`` at ``x`` carried along: ``t`` to ``t Jᵀ``."""
        beside = None if context is None else _array(context)
        return self._map.push(_array(x), _array(tangents), beside, inverse)[2]

    def jacobian(self, x: Any, context: Any = None, *, inverse: bool = False) -> Floats:
        """The Jacobian at each vector ``x``, ``[B, D, D]``: ``J[b, i, j]`` is ``d y_i / d x_j``."""
        points = _array(x)
        if points.ndim != 2:
            raise ValueError(f"x: expected vectors, [B, D], found the shape {points.shape}")
        rows, d = points.shape
        units = np.broadcast_to(np.eye(d), (rows, d, d))
        return np.swapaxes(self.push(points, units, context, inverse=inverse), 1, 2)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.config, self.parameters)

    def __repr__(self) -> str:
        return f"Bijector({self.config!r})"


def _rebuild(config: dict[str, Any], parameters: dict[str, Floats]) -> Bijector:
    return Bijector(config, parameters=parameters)
