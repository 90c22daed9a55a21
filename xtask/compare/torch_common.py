"""What the PyTorch peers share: threads, data, the training step and picking the fastest way."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from protocol import Run, one_line, seconds_of

SLOW = 20.0  # a candidate that takes longer than this in one call is not timed further


def prepare(case: dict, seed: int = 0) -> None:
    torch.set_num_threads(case["threads"])
    torch.manual_seed(seed)


def points(case: dict) -> tuple[Tensor, Tensor | None]:
    """The case's data and its context features, if it has any."""
    data = torch.randn(case["batch"], case["dim"])
    width = case.get("context", 0)
    return data, torch.randn(case["batch"], width) if width else None


def adamw(
    parameters: Iterable[nn.Parameter], rate: float = 3e-4, weight_decay: float = 1e-6
) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=weight_decay, fused=True)


def make_step(parameters: Iterable[nn.Parameter], loss: Callable[[], Tensor]) -> Run:
    """One training step: gradients of `loss`, clipping at global norm 10, AdamW."""
    kept = list(parameters)
    optimizer = adamw(kept)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        nn.utils.clip_grad_norm_(kept, 10.0)
        optimizer.step()

    return step


def without_gradients(compute: Callable[[], Tensor]) -> Run:
    def run() -> Tensor:
        with torch.inference_mode():
            return compute()

    return run


def fastest(candidates: dict[str, Run], calls: int = 3) -> tuple[str, list[str]]:
    """The name of the fastest candidate, and a line for each other one: how it compares or failed."""
    best: dict[str, float] = {}
    others = []
    for name, run in candidates.items():
        try:
            first = seconds_of(run)
            best[name] = first if first > SLOW else min(seconds_of(run) for _ in range(calls))
        except Exception as error:
            others.append(f"{name} failed ({one_line(error)[:120]})")
    if not best:
        raise RuntimeError("; ".join(others))
    winner = min(best, key=best.__getitem__)
    others += [f"{name} takes {t / best[winner]:.2g} times as long" for name, t in best.items() if name != winner]
    return winner, others
