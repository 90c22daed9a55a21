"""A whole M-flow experiment with nflows, timed: what mflow's `quality` does, on its data and settings.

Reads the folder that `quality` left and prints the same lines. The manifold phase (reconstruction
error, all of f) comes before the density phase (likelihood of h at coordinates of the batch), each with
AdamW, a cosine from batch to batch, clipping and a pass over the validation rows at each epoch's end.
"""

import argparse
import json
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

import torch_common as common
from mflow_nflows import ManifoldFlow
from nflows_models import SPLINES, use_spline

Loss = Callable[[Tensor, Tensor], Tensor]

VALIDATION_ROWS = 1000  # at once
EXACT_ROWS = 1000  # at once: Jacobians of more leave the cache


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--spline", choices=list(SPLINES), default="mask-free spline")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def case_of(model: dict) -> dict:
    """The architecture as the peers of the comparison name it."""
    outer, inner = model["outer"], model["inner"]
    shared = ("linear", "hidden", "blocks", "bins", "tail_bound")
    if any(outer[key] != inner[key] for key in shared):
        raise SystemExit(f"f and h must agree in {', '.join(shared)}")
    return {key: outer[key] for key in shared} | {
        "map": outer["kind"],
        "dim": model["data_dim"],
        "manifold": model["manifold_dim"],
        "context": model["context_dim"],
        "layers": outer["layers"],
        "inner_layers": inner["layers"],
    }


class Clock:
    """Seconds of work so far, without what `measure` does."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.start = time.perf_counter()

    def stop(self) -> float:
        self.seconds += time.perf_counter() - self.start
        return self.seconds

    def go_on(self) -> None:
        self.start = time.perf_counter()


def run_phase(
    phase: dict,
    parameters: list[nn.Parameter],
    loss: Loss,
    train: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    after_epoch: Callable[[int], None],
) -> None:
    settings, rows = phase["optimizer"], len(train[0])
    steps = phase["epochs"] * -(-rows // phase["batch_size"])
    optimizer = common.adamw(parameters, settings["learning_rate"], settings["weight_decay"])
    schedule = CosineAnnealingLR(optimizer, steps)
    weight = phase["losses"][0]["weight"]
    for epoch in range(1, phase["epochs"] + 1):
        for batch in torch.randperm(rows).split(phase["batch_size"]):
            optimizer.zero_grad(set_to_none=True)
            (weight * loss(train[0][batch], train[1][batch])).backward()
            nn.utils.clip_grad_norm_(parameters, phase["clip_norm"])
            optimizer.step()
            schedule.step()
        with torch.inference_mode():
            for x, context in zip(*(part.split(VALIDATION_ROWS) for part in validation)):
                loss(x, context)
        after_epoch(epoch)


def error_of(model: ManifoldFlow, x: Tensor) -> float:
    with torch.inference_mode():
        return torch.linalg.vector_norm(x - model.reconstruct(x), dim=1).mean().item()


def evaluate(model: ManifoldFlow, x: Tensor, context: Tensor) -> float:
    """Projections, samples and exact densities of the test rows; the mean of these."""
    model.requires_grad_(False)
    with torch.no_grad():
        error_of(model, x)
        model.decode(model.inner.sample(len(x), context))
        parts = zip(x.split(EXACT_ROWS), context.split(EXACT_ROWS))
        densities = [model.exact(rows, at, "reverse mode")[1] for rows, at in parts]
    return torch.cat(densities).mean().item()


def main() -> None:
    options = arguments()
    with open(options.folder / "config.toml", "rb") as file:
        config = tomllib.load(file)
    common.prepare({"threads": options.threads}, config["seed"])
    use_spline(options.spline)

    def rows_of(name: str) -> Tensor:
        return torch.from_numpy(np.load(options.folder / name).astype(np.float32))

    x, context = rows_of("x.npy"), rows_of("context.npy")
    test, test_context = rows_of("test.npy"), rows_of("test-context.npy")
    model = ManifoldFlow(case_of(config["model"]))
    manifold, density = config["train"]["phases"]
    held_out = round(len(x) * config["train"]["validation_fraction"])
    train, validation = (x[held_out:], context[held_out:]), (x[:held_out], context[:held_out])
    clock = Clock()

    def reconstruction(rows: Tensor, _: Tensor) -> Tensor:
        return (rows - model.reconstruct(rows)).square().mean()

    def negative_log_likelihood(rows: Tensor, at: Tensor) -> Tensor:
        with torch.no_grad():
            u = model.encode(rows)
        return -model.inner.log_prob(u, at).mean()

    def measure(epoch: int) -> None:
        line = {"epoch": epoch, "seconds": clock.stop(), "error": error_of(model, test)}
        print(json.dumps(line), flush=True)
        clock.go_on()

    outer, inner = list(model.outer.parameters()), list(model.inner.parameters())
    run_phase(manifold, outer, reconstruction, train, validation, measure)
    run_phase(density, inner, negative_log_likelihood, train, validation, lambda epoch: None)
    seconds = clock.stop()
    start = time.perf_counter()
    log_prob = evaluate(model, test, test_context)
    end = {
        "train": seconds,
        "evaluate": time.perf_counter() - start,
        "error": error_of(model, test),
        "log_prob": log_prob,
    }
    print(json.dumps(end), flush=True)


if __name__ == "__main__":
    main()
