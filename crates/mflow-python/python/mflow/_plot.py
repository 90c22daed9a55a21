"""The picture of a fitted model, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._convert import matrix

if TYPE_CHECKING:
    from ._flow import Flow


def plot(flow: Flow, X: Any, ax: Any, n_samples: int) -> Any:
    """See :meth:`mflow.Flow.plot`."""
    import matplotlib.pyplot as plt

    signature = flow.model_.signature
    if signature["context_dim"] is not None:
        raise ValueError("plot: expected a model without a context, whose samples are of one density")
    axes = min(3, signature["data_dim"])
    if ax is None:
        ax = plt.figure().add_subplot(projection="3d" if axes == 3 else None)
    elif getattr(ax, "name", "") != "3d":
        axes = 2
    drawn = flow.model_.sample(n_samples, None, 0, False, flow.threads)
    color: Any = None
    if signature["density"] is not None:
        color = flow.model_._ask("log_prob", drawn, None, flow.threads)
    if X is not None:
        rows = matrix(X)
        ax.scatter(*rows[:, :axes].T, s=2, color="0.7", label="data")
    points = ax.scatter(*drawn[:, :axes].T, s=4, c=color, label="samples")
    if color is not None and np.ptp(color) > 0:
        ax.figure.colorbar(points, ax=ax, label="log-density (nats)")
    names = flow._columns()
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    if axes == 3:
        ax.set_zlabel(names[2])
    ax.legend()
    return ax
