"""Posteriors of the parameters that were the context of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from . import _mflow
from ._convert import Floats, matrix, seed_of


@dataclass(frozen=True)
class Posterior:
    """Chains of ``p(parameters | observed rows)``, and whether they can be trusted.

    ``az.from_dict({"posterior": p.draws, "sample_stats": p.sample_stats})`` makes an arviz object of it (before arviz 1:
    ``az.from_dict(posterior=p.draws, sample_stats=p.sample_stats)``).
    """

    #: Names of the parameters.
    names: list[str]
    #: The draws, ``[chains, draws, P]``.
    samples: Floats
    #: The log-density of each draw, up to a constant, ``[chains, draws]``, in nats.
    log_prob: Floats
    #: R-hat of each parameter, ``[P]``: at most 1.01 if the chains have converged.
    r_hat: Floats
    #: Effective sample size of each parameter, ``[P]``: 400 or more for good quantiles.
    ess: Floats
    #: Mean of each parameter, ``[P]``.
    mean: Floats
    #: Standard deviation of each parameter, ``[P]``.
    std: Floats
    #: Draws that diverged.
    divergences: int
    #: What is wrong with the chains, and what to do about it; empty if they can be trusted.
    warnings: list[str] = field(default_factory=list)
    #: The table that the program prints.
    table: str = field(default="", repr=False)

    @property
    def draws(self) -> dict[str, Floats]:
        """The draws of each parameter by its name, ``[chains, draws]``."""
        return {name: self.samples[:, :, i] for i, name in enumerate(self.names)}

    @property
    def sample_stats(self) -> dict[str, Floats]:
        """``lp``, the log-density of each draw."""
        return {"lp": self.log_prob}

    def __str__(self) -> str:
        return self.table


def posterior(
    model: _mflow.Model,
    observed: Any,
    prior: str | Sequence[str],
    names: Sequence[str] | None,
    sampler: str,
    chains: int,
    draws: int,
    burn_in: int,
    random_state: Any,
    threads: int | None,
) -> Posterior:
    """See :meth:`mflow.Flow.posterior`."""
    count = model.signature["context_dim"] or 0
    priors = [prior] * count if isinstance(prior, str) else list(prior)
    named = [f"theta_{i + 1}" for i in range(count)] if names is None else list(names)
    if len(named) != len(priors) or len(set(named)) != len(named):
        raise ValueError(f"names: expected {len(priors)} names that differ, found {named}")
    said = _mflow.sample_posterior(
        model,
        matrix(observed, "observed"),
        priors,
        named,
        sampler,
        chains,
        draws,
        burn_in,
        seed_of(random_state),
        threads,
    )
    del said["acceptance"]
    return Posterior(names=named, **said)
