"""Manifold-learning normalizing flows: learn a manifold, and the exact density on it.

The estimators are those of scikit-learn in form, and the program ``mflow`` in substance: the same request and the same rows give
the same bits.

>>> import mflow
>>> x = mflow.simulators.get("circle").sample(300, random_state=1)  # [300, 2], in data units
>>> flow = mflow.MFlow(manifold_dim=1, epochs=2, random_state=0).fit(x)
>>> flow.score_samples(x).shape  # log-density on the manifold, in nats
(300,)
>>> flow.reconstruction_error(x).shape  # distance to the manifold, in data units
(300,)
>>> flow.sample(5, random_state=0).shape
(5, 2)
"""

from __future__ import annotations

import os as _os

# The tensor library asks for this variable in every product, and counts the cores anew where it finds none. Rows are shared
# out among threads of our own, whose number is the one that was there before, or the number of cores.
_WISHED = _os.environ.get("RAYON_NUM_THREADS", "")
_os.environ.setdefault("RAYON_NUM_THREADS", "1")

from . import _mflow, metrics, simulators
from ._bijector import Bijector
from ._errors import (
    ConfigError,
    DataError,
    FileError,
    MflowError,
    TrainingError,
    UnsupportedError,
)
from ._estimators import AmbientFlow, Atlas, FreeForm, KnownManifold, MFlow, load
from ._flow import Flow
from ._functions import Dimension, dim
from ._posterior import Posterior

if _WISHED.isdigit():
    _mflow.set_default_threads(int(_WISHED))

__version__: str = _mflow.VERSION

__all__ = [
    "AmbientFlow",
    "Atlas",
    "Bijector",
    "ConfigError",
    "DataError",
    "Dimension",
    "FileError",
    "Flow",
    "FreeForm",
    "KnownManifold",
    "MFlow",
    "MflowError",
    "Posterior",
    "TrainingError",
    "UnsupportedError",
    "dim",
    "load",
    "metrics",
    "simulators",
]
