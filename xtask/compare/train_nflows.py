"""Time to quality of nflows: the manifold phase of a (3, 2) M-flow, timed up to given errors."""

import argparse
import json
import time

import numpy as np
import torch
from torch import Tensor, nn

import torch_common as common
from mflow_nflows import ManifoldFlow
from nflows_models import use_spline

CASE = {
    "dim": 3,
    "manifold": 2,
    "layers": 5,
    "linear": "permutation",
    "map": "spline",
    "hidden": 100,
    "blocks": 2,
    "bins": 10,
    "tail_bound": 6.0,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--validation", required=True)
    # Accepted so that the caller can pass a whole data set: this phase trains f, and
    # context feeds only h.
    parser.add_argument("--context")
    parser.add_argument("--validation-context")
    parser.add_argument("--targets", nargs="+", required=True)
    parser.add_argument("--limit", type=float, required=True, help="seconds")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def rows_of(path: str) -> Tensor:
    rows = torch.from_numpy(np.load(path).astype(np.float32))
    if rows.shape[1:] != (CASE["dim"],):
        raise SystemExit(f"{path}: expected rows of {CASE['dim']} numbers")
    return rows


def mean_distance(model: ManifoldFlow, rows: Tensor) -> float:
    with torch.inference_mode():
        return torch.linalg.vector_norm(rows - model.reconstruct(rows), dim=1).mean().item()


def train_epoch(model: ManifoldFlow, optimizer: torch.optim.Optimizer, rows: Tensor, size: int):
    for batch in rows[torch.randperm(len(rows))].split(size):
        optimizer.zero_grad(set_to_none=True)
        (batch - model.reconstruct(batch)).square().mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()


def main() -> None:
    options = arguments()
    common.prepare({"threads": options.threads}, options.seed)
    data, validation = rows_of(options.data), rows_of(options.validation)
    use_spline("mask-free spline")
    model = ManifoldFlow(CASE, with_density=False)
    optimizer = common.adamw(model.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)

    # Keys as they were given, so that the caller finds its own spelling again.
    reached: dict[str, float | None] = dict.fromkeys(options.targets)
    seconds, epoch = 0.0, 0
    while epoch < options.epochs and seconds < options.limit and None in reached.values():
        start = time.perf_counter()
        train_epoch(model, optimizer, data, options.batch)
        schedule.step()
        seconds += time.perf_counter() - start
        epoch += 1
        error = mean_distance(model, validation)
        print(json.dumps({"epoch": epoch, "seconds": seconds, "error": error}), flush=True)
        for target, when in reached.items():
            if when is None and error <= float(target):
                reached[target] = seconds
    print(json.dumps({"reached": reached, "epochs": epoch, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
