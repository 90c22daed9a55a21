"""Checks of the peers: `python test_peers.py [--device cuda] [--only NAME]`, small cases in minutes.

Each worker is asked over its pipe for each quantity that it has; and every way in which a PyTorch
peer repeats a case has to find the loss (or densities, samples) that the eager way finds.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PLAIN = ("nll_step", "log_prob", "sample")
MANIFOLD = ("manifold_step", "density_step", "joint_step", "exact_log_prob")
QUANTITIES = {"nflows": PLAIN + MANIFOLD, "zuko": PLAIN, "flowjax": PLAIN + MANIFOLD}

SHARED = {"bins": 10, "tail_bound": 6.0, "threads": 2, "blocks": 2, "map": "spline"}
SIZES = {
    "(3, 2)": {"dim": 3, "manifold": 2, "context": 1, "hidden": 20, "batch": 50},
    "(40, 14)": {"dim": 40, "manifold": 14, "context": 2, "hidden": 50, "batch": 20},
}


def cases(peer: str, settings: dict) -> list[dict]:
    layers = {"layers": 2, "inner_layers": 2, "linear": "lu"}
    made = [
        SHARED | settings | size | layers | {"quantity": quantity}
        for quantity in QUANTITIES[peer]
        for size in SIZES.values()
    ]
    if "sample" not in QUANTITIES[peer]:
        return made
    maf = {"quantity": "sample", "map": "maf", "context": 0, "linear": "permutation"}
    return made + [SHARED | settings | SIZES["(3, 2)"] | layers | maf]


def title(case: dict) -> str:
    return f"{case['map']}, {case['quantity']}, ({case['dim']}, {case['manifold']})"


def protocol(peer: str, settings: dict) -> None:
    platform = {"JAX_PLATFORMS": settings["device"]}
    worker = subprocess.Popen(
        [sys.executable, HERE / f"peer_{peer}.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | platform,
    )

    def ask(request: dict) -> dict:
        print(json.dumps(request), file=worker.stdin, flush=True)
        return json.loads(worker.stdout.readline())

    print(peer, ask({"versions": True})["versions"], flush=True)
    for case in cases(peer, settings):
        opened = ask({"open": case})
        assert opened.get("ready"), (title(case), opened)
        seconds = ask({"time": 3})["seconds"]
        print(f"{peer}: {title(case)}: {min(seconds) * 1e3:.2f} ms; {opened['note']}", flush=True)
    other = "cpu" if settings["device"] == "cuda" else "cuda"
    refused = ask({"open": cases(peer, settings)[0] | {"device": other}})
    if peer == "flowjax" or other == "cuda":
        assert other in refused["lacks"].lower(), refused
    worker.stdin.close()
    assert worker.wait() == 0


def names_its_devices():
    """A mode in which it is an error to make a tensor without saying where."""
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils._device import _device_constructors

    class Named(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), named=None):
            named = named or {}
            given = bool(arguments) and isinstance(arguments[0], torch.Tensor)
            made = function in _device_constructors() and not given
            if made and named.get("device") is None:
                raise AssertionError(f"{function.__name__} without a device")
            return function(*arguments, **named)

    return Named()


def numbers(peer: str, settings: dict) -> None:
    import torch

    import peer_nflows
    import peer_zuko
    import torch_common as common

    # So that compiled sampling draws the numbers of the eager one.
    torch._inductor.config.fallback_random = True
    module = {"nflows": peer_nflows, "zuko": peer_zuko}[peer]
    for case in cases(peer, settings):
        reference = None
        for name in module.candidates(case):
            # Anew for each, as steps change the model; the second step shows the first's update.
            run = module.candidates(case)[name]
            if peer == "nflows":
                peer_nflows.use_spline(peer_nflows.spline_of(name))
            torch._dynamo.utils.counters.clear()
            if common.COMPILED not in name and common.CAPTURED not in name:
                with names_its_devices():
                    module.candidates(case)[name]()
            try:
                torch.manual_seed(1)
                values = [run().detach().clone() for _ in range(2)]
            except Exception as error:
                print(f"{peer}: {title(case)}, {name}: {type(error).__name__}: {error}"[:600])
                continue
            breaks = sum(torch._dynamo.utils.counters["graph_break"].values())
            said = f"{breaks} graph breaks" if breaks else ""
            if reference is None:
                reference = values
            elif case["quantity"] != "sample" or common.CAPTURED not in name:
                pairs = zip(values, reference)
                error = max(((a - b).abs() / (1 + b.abs())).max().item() for a, b in pairs)
                assert error < 1e-4, (title(case), name, error)
                said += f" {error:.1e} from the first"
            print(f"{peer}: {title(case)}, {name}: {values[-1].mean():.5f} {said}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--only", choices=list(QUANTITIES))
    parser.add_argument("--quantity", choices=PLAIN + MANIFOLD)
    parser.add_argument("--no-compile", action="store_true")
    options = parser.parse_args()
    settings = {"device": options.device, "compile": not options.no_compile}
    if options.quantity:
        for peer, has in QUANTITIES.items():
            QUANTITIES[peer] = tuple(name for name in has if name == options.quantity)
    for peer in QUANTITIES:
        if options.only in (None, peer):
            if peer != "flowjax":
                numbers(peer, settings)
            protocol(peer, settings)


if __name__ == "__main__":
    main()
