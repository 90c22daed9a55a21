"""Questions to rows without a model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from . import _mflow
from ._convert import matrix


@dataclass(frozen=True)
class Dimension:
    """How many dimensions the manifold has that rows lie on."""

    #: The dimension to try first; None if the rows do not say.
    recommended: int | None
    #: Why.
    because: str
    #: The estimates: for each estimator a list of points with ``neighbours``, ``distance``, ``dimension``, ``standard_error``.
    curves: list[dict[str, Any]]
    #: What else is to be known of the rows.
    notes: list[str]


def dim(
    X: Any, *, standardize: bool = True, random_state: int = 0, threads: int | None = None
) -> Dimension:
    """Estimate the dimension of the manifold near which the rows of ``X``, ``[n, D]``, lie: what ``mflow dim`` prints.

    With ``standardize`` each column is divided by its standard deviation first.

    >>> import mflow
    >>> x = mflow.simulators.get("torus").sample(1000, random_state=1)
    >>> mflow.dim(x).recommended
    2
    """
    said = json.loads(_mflow.dimension(matrix(X), standardize, random_state, threads))
    return Dimension(said["recommended"], said["because"], said["curves"], said["notes"])
