"""zuko (PyTorch): densities and samples of coupling and MAF flows; it has no M-flows."""

from collections.abc import Callable
from functools import partial

import torch
import zuko
from torch import Tensor, nn
from torch.distributions import Transform
from zuko.distributions import DiagNormal
from zuko.flows.coupling import GeneralCouplingTransform
from zuko.lazy import Flow, UnconditionalDistribution, UnconditionalTransform
from zuko.transforms import (
    CouplingTransform,
    LULinearTransform,
    MonotonicRQSTransform,
    PermutationTransform,
)

import torch_common as common
from protocol import Lacks, Run, serve


class StaticCoupling(CouplingTransform):
    """zuko's coupling with indices made once, not from a mask in every call, which waits for a GPU."""

    def __init__(self, meta: Callable[[Tensor], Transform], kept: Tensor, changed: Tensor) -> None:
        Transform.__init__(self)
        self.meta = meta
        self.idx_a = kept
        self.idx_b = changed


class StaticGeneralCoupling(GeneralCouplingTransform):
    def __init__(self, *arguments, **named) -> None:
        super().__init__(*arguments, **named)
        self.kept = self.mask.nonzero().squeeze(-1)
        self.changed = (~self.mask).nonzero().squeeze(-1)

    def forward(self, c: Tensor | None = None) -> Transform:
        return StaticCoupling(partial(self.meta, c), self.kept, self.changed)


class LULinear(nn.Module):
    """zuko's LU transform with trainable entries that start at the identity."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.entries = nn.Parameter(torch.eye(features))

    def forward(self, context: Tensor | None = None) -> LULinearTransform:
        return LULinearTransform(self.entries)


def coupling(index: int, case: dict) -> list[nn.Module]:
    features, bins = case["dim"], case["bins"]
    layer = [UnconditionalTransform(PermutationTransform, torch.randperm(features), buffer=True)]
    if case["linear"] == "lu":
        layer.append(LULinear(features))
    kind = StaticGeneralCoupling if common.fixed_shapes(case) else GeneralCouplingTransform
    layer.append(
        kind(
            features,
            case.get("context", 0),
            # zuko marks the kept features: even ones first.
            mask=torch.arange(features) % 2 == index % 2,
            univariate=partial(MonotonicRQSTransform, bound=case["tail_bound"]),
            shapes=[(bins,), (bins,), (bins - 1,)],
            # One layer from the input and as many square ones as the residual blocks have.
            hidden_features=[case["hidden"]] * (2 * case["blocks"] + 1),
        )
    )
    return layer


def coupling_flow(case: dict) -> Flow:
    features = case["dim"]
    layers = [part for i in range(case["layers"]) for part in coupling(i, case)]
    base = UnconditionalDistribution(
        DiagNormal, torch.zeros(features), torch.ones(features), buffer=True
    )
    return Flow(layers, base)


def build(case: dict) -> tuple[common.Compute, common.Repeat]:
    x, context = common.points(case)
    if case["map"] == "maf":
        flow = zuko.flows.MAF(
            case["dim"],
            case.get("context", 0),
            transforms=case["layers"],
            hidden_features=[case["hidden"]] * 2,
        )
    else:
        flow = coupling_flow(case)

    def sample() -> Tensor:
        # A flow of a batch of contexts draws one sample for each of its rows.
        shape = (case["batch"],) if context is None else ()
        return flow(context).sample(shape)

    match case["quantity"]:
        case "nll_step":
            step = partial(common.make_step, list(flow.parameters()))
            return lambda: -flow(context).log_prob(x).mean(), step
        case "log_prob":
            return lambda: flow(context).log_prob(x), common.without_gradients
        case _:
            return sample, common.without_gradients


def candidates(case: dict) -> dict[str, Run]:
    with common.prepare(case):
        return common.named({"": common.ways(case, *build(case))})


def open_case(case: dict) -> tuple[Run, str]:
    if case["quantity"] not in ("nll_step", "log_prob", "sample"):
        raise Lacks("zuko has densities and samples of flows but no M-flows")
    note = f"MLP with {2 * case['blocks']} hidden x hidden matrices for the residual net"
    if case["map"] == "maf":
        note = "affine MAF of zuko"
    runs = candidates(case)
    name, others = common.fastest(case, runs)
    return runs[name], "; ".join(filter(None, [note, name, *others]))


# torch.distributions checks all arguments unless told otherwise, which costs time.
torch.distributions.Distribution.set_default_validate_args(False)

if __name__ == "__main__":
    serve(open_case, ["torch", "zuko", "numpy"])
