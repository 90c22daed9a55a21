"""nflows (PyTorch): all quantities, on the faster spline and the fastest Jacobian route."""

from functools import partial

import torch
from torch import Tensor

import torch_common as common
from mflow_nflows import ManifoldFlow
from nflows_jacobian import ROUTES
from nflows_models import SPLINES, Flow, use_spline
from protocol import Lacks, Run, serve

MASK_FREE, OWN = SPLINES


def plain(case: dict) -> tuple[common.Compute, common.Repeat]:
    """The quantities of one flow on R^d."""
    x, context = common.points(case)
    flow = Flow(case["dim"], case["layers"], case, case.get("context", 0))

    match case["quantity"]:
        case "nll_step":
            step = partial(common.make_step, list(flow.parameters()))
            return lambda: -flow.log_prob(x, context).mean(), step
        case "log_prob":
            return lambda: flow.log_prob(x, context), common.without_gradients
        case "sample":
            return lambda: flow.sample(case["batch"], context), common.without_gradients
    raise Lacks(f"no quantity {case['quantity']}")


def mean_squared(x: Tensor, decoded: Tensor) -> Tensor:
    return (x - decoded).square().mean()


def manifold(case: dict) -> tuple[common.Compute, common.Repeat]:
    """The phases of an M-flow which need no Jacobian."""
    x, context = common.points(case)
    model = ManifoldFlow(case, with_density=case["quantity"] == "density_step")

    def negative_log_likelihood() -> Tensor:
        with torch.no_grad():
            u = model.encode(x)
        return -model.inner.log_prob(u, context).mean()

    if case["quantity"] == "density_step":
        step = partial(common.make_step, list(model.inner.parameters()))
        return negative_log_likelihood, step
    step = partial(common.make_step, list(model.outer.parameters()))
    return lambda: mean_squared(x, model.reconstruct(x)), step


def no_grad(compute: common.Compute) -> Run:
    """Not inference mode: reverse mode cannot use its tensors."""

    def run() -> Tensor:
        with torch.no_grad():
            return compute()

    return run


def exact(case: dict) -> dict[str, Run]:
    """Runs for each Jacobian route, all on the same model."""
    x, context = common.points(case)
    model = ManifoldFlow(case)

    if case["quantity"] == "joint_step":
        repeat = partial(common.make_step, list(model.parameters()))
        on_manifold = None
    else:
        repeat = no_grad
        on_manifold = no_grad(lambda: model.reconstruct(x))()
        # Reverse mode would otherwise record all parameters, which nobody asks for here.
        model.requires_grad_(False)

    def compute(route: str) -> common.Compute:
        def loss() -> Tensor:
            decoded, log_density = model.exact(x, context, route)
            return mean_squared(x, decoded) - log_density.mean()

        def log_density() -> Tensor:
            return model.exact(on_manifold, context, route)[1]

        return loss if on_manifold is None else log_density

    def ways(route: str) -> dict[str, Run]:
        # torch.compile breaks off at its gradients within, five times and slowly.
        how = case | {"compile": False} if route == "reverse mode" else case
        return common.ways(how, compute(route), repeat)

    return common.named({route: ways(route) for route in ROUTES})


def candidates(case: dict) -> dict[str, Run]:
    """All that is tried; `spline_of` the name has to be in use when one is called."""
    with common.prepare(case):
        if case["quantity"] in ("joint_step", "exact_log_prob"):
            return exact(case)
        build = manifold if case["quantity"] in ("manifold_step", "density_step") else plain
        compute, repeat = build(case)
        runs = common.ways(case, compute, repeat)
    if case["map"] == "maf":
        return common.named({"": runs})
    # The masks of nflows' own make shapes depend on data: it runs eagerly only.
    return common.named({MASK_FREE: runs, OWN: {common.EAGER: runs[common.EAGER]}})


def spline_of(name: str) -> str:
    return OWN if name.startswith(OWN) else MASK_FREE


def open_case(case: dict) -> tuple[Run, str]:
    runs = candidates(case)

    def on_its_spline(name: str) -> Run:
        def switched() -> object:
            use_spline(spline_of(name))
            return runs[name]()

        return switched

    name, others = common.fastest(case, {name: on_its_spline(name) for name in runs})
    use_spline(spline_of(name))
    run = runs[name]
    if case["map"] == "maf":
        name = ", ".join(filter(None, ("MADE of nflows with one feed-forward block", name)))
    elif case["quantity"] in ("joint_step", "exact_log_prob"):
        name = f"{MASK_FREE}, Jacobian by {name}"
    return run, "; ".join([name, *others])


if __name__ == "__main__":
    serve(open_case, ["torch", "nflows", "numpy"])
