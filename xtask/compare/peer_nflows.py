"""nflows (PyTorch): all quantities, on the faster spline and the fastest Jacobian route."""

import torch
from torch import Tensor

import torch_common as common
from mflow_nflows import ManifoldFlow
from nflows_jacobian import ROUTES
from nflows_models import SPLINES, Flow, use_spline
from protocol import Lacks, Run, serve


def plain(case: dict) -> Run:
    """The quantities of one flow on R^d."""
    x, context = common.points(case)
    flow = Flow(case["dim"], case["layers"], case, case.get("context", 0))

    match case["quantity"]:
        case "nll_step":
            return common.make_step(flow.parameters(), lambda: -flow.log_prob(x, context).mean())
        case "log_prob":
            return common.without_gradients(lambda: flow.log_prob(x, context))
        case "sample":
            return common.without_gradients(lambda: flow.sample(case["batch"], context))
    raise Lacks(f"no quantity {case['quantity']}")


def mean_squared(x: Tensor, decoded: Tensor) -> Tensor:
    return (x - decoded).square().mean()


def manifold(case: dict) -> Run:
    """The phases of an M-flow which need no Jacobian."""
    x, context = common.points(case)
    model = ManifoldFlow(case, with_density=case["quantity"] == "density_step")

    def negative_log_likelihood() -> Tensor:
        with torch.no_grad():
            u = model.encode(x)
        return -model.inner.log_prob(u, context).mean()

    if case["quantity"] == "density_step":
        return common.make_step(model.inner.parameters(), negative_log_likelihood)
    return common.make_step(
        model.outer.parameters(), lambda: mean_squared(x, model.reconstruct(x))
    )


def exact(case: dict) -> dict[str, Run]:
    """One run for each Jacobian route, all on the same model."""
    x, context = common.points(case)
    model = ManifoldFlow(case)

    def step(route: str) -> Run:
        def loss() -> Tensor:
            decoded, log_density = model.exact(x, context, route)
            return mean_squared(x, decoded) - log_density.mean()

        return common.make_step(model.parameters(), loss)

    if case["quantity"] == "joint_step":
        return {route: step(route) for route in ROUTES}

    with torch.no_grad():
        on_manifold = model.reconstruct(x)
    # Reverse mode would otherwise record all parameters, which nobody asks for here.
    model.requires_grad_(False)

    def log_density(route: str) -> Run:
        def run() -> Tensor:
            # Not inference mode: reverse mode cannot use its tensors.
            with torch.no_grad():
                return model.exact(on_manifold, context, route)[1]

        return run

    return {route: log_density(route) for route in ROUTES}


def open_case(case: dict) -> tuple[Run, str]:
    common.prepare(case)
    if case["quantity"] in ("joint_step", "exact_log_prob"):
        use_spline("mask-free spline")
        runs = exact(case)
        name, others = common.fastest(runs)
        return runs[name], "; ".join([f"mask-free spline, Jacobian by {name}", *others])

    build = manifold if case["quantity"] in ("manifold_step", "density_step") else plain
    run = build(case)
    if case["map"] == "maf":
        run()
        return run, "MADE of nflows with one feed-forward block"

    def on(spline: str) -> Run:
        def switched() -> object:
            use_spline(spline)
            return run()

        return switched

    runs = {spline: on(spline) for spline in SPLINES}
    name, others = common.fastest(runs)
    use_spline(name)
    return run, "; ".join([name, *others])


if __name__ == "__main__":
    serve(open_case, ["torch", "nflows", "numpy"])
