"""Processes that draw points of a manifold that is known, most of them with the density on it: to test methods with.

>>> from mflow import simulators
>>> "torus" in simulators.names()
True
>>> torus = simulators.get("torus")
>>> torus.data_dim, torus.manifold_dim
(3, 2)
>>> x = torus.sample(4, random_state=0)
>>> torus.log_prob(x).shape
(4,)
"""

from __future__ import annotations

from typing import Any

from . import _mflow
from ._convert import Floats, matrix, seed_of

__all__ = ["Simulator", "get", "names"]


class Simulator:
    """A simulator by its name."""

    def __init__(self, name: str) -> None:
        self._simulator = _mflow.Simulator(name)

    @property
    def name(self) -> str:
        """Its name."""
        return self._simulator.name

    @property
    def data_dim(self) -> int:
        """Number of coordinates ``D`` of a point."""
        return self._simulator.data_dim

    @property
    def manifold_dim(self) -> int:
        """Dimension of the manifold."""
        return self._simulator.manifold_dim

    @property
    def is_tractable(self) -> bool:
        """Whether density and projection are known."""
        return self._simulator.is_tractable

    @property
    def parameters(self) -> list[tuple[str, str, float]]:
        """Name, prior as :meth:`mflow.Flow.posterior` takes it, and default of each parameter."""
        return self._simulator.parameter_list

    def sample(
        self, n_samples: int, parameters: Any = None, *, random_state: Any = 0
    ) -> Floats:
        """Points, ``[n, D]``, given parameters ``[n, P]`` or ``[1, P]``; without them the parameters are drawn from their
        prior, as :meth:`sample_joint` gives them."""
        return self.sample_joint(n_samples, parameters, random_state=random_state)[0]

    def sample_joint(
        self, n_samples: int, parameters: Any = None, *, random_state: Any = 0
    ) -> tuple[Floats, Floats]:
        """Points, ``[n, D]``, and the parameters of each, ``[n, P]``: those of ``mflow data`` with this seed."""
        given = None if parameters is None else matrix(parameters, "parameters")
        return self._simulator.sample(n_samples, given, seed_of(random_state))

    def log_prob(self, X: Any, parameters: Any = None) -> Floats:
        """Log-density with respect to the volume of the manifold, ``[n]``, in nats, given parameters ``[n, P]`` or ``[1, P]``,
        or the default ones."""
        given = None if parameters is None else matrix(parameters, "parameters")
        return self._simulator.log_prob(matrix(X), given)

    def project(self, X: Any) -> Floats:
        """The nearest points of the manifold, ``[n, D]``."""
        return self._simulator.project(matrix(X))

    def distance(self, X: Any) -> Floats:
        """Euclidean distance to the manifold, ``[n]``."""
        return self._simulator.distance(matrix(X))

    def __repr__(self) -> str:
        return f"mflow.simulators.get({self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Simulator, (self.name,)


def names() -> list[str]:
    """The names of simulators."""
    return _mflow.simulator_names()


def get(name: str) -> Simulator:
    """The simulator of this name."""
    return Simulator(name)
