"""What Python has, as the arrays that the library takes: as scikit-learn does it, with its messages."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import check_random_state

#: Real numbers in double or single precision.
Floats = NDArray[Any]

_TYPES = [np.float64, np.float32]


def refuse_masked(x: Any, name: str) -> None:
    """Refuse hidden values, which scikit-learn would take for numbers."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise ValueError(
            f"Input {name} is a masked array with masked values. Missing values are not supported: leave these rows out, "
            f"or fill them in."
        )


def matrix(x: Any, name: str = "X", rows: int = 1) -> Floats:
    """Rows of real numbers, ``[rows, columns]``."""
    refuse_masked(x, name)
    found: Floats = check_array(x, dtype=_TYPES, input_name=name, ensure_min_samples=rows)
    return found


def vector(x: Any, name: str) -> Floats:
    """Real numbers, ``[n]``, in double precision."""
    refuse_masked(x, name)
    found: Floats = check_array(x, dtype=np.float64, ensure_2d=False, input_name=name)
    return found.reshape(-1)


def context_of(context: Any, rows: int) -> Floats | None:
    """The context of each of ``rows`` rows, ``[rows, C]`` or ``[1, C]``; a vector is one number for each row."""
    if context is None:
        return None
    if np.ndim(context) == 1:
        context = np.asarray(context).reshape(-1, 1)
    found = matrix(context, "context")
    if len(found) not in (1, rows):
        raise ValueError(
            f"context: expected {rows} rows, one for each, or 1 for all; found {len(found)}"
        )
    return found


def seed_of(random_state: Any) -> int:
    """A seed: an integer is itself, so that it is the same seed as in the program."""
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        if random_state < 0:
            raise ValueError(f"random_state: expected 0 or more, found {random_state}")
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31))
