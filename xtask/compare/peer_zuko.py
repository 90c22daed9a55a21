"""zuko (PyTorch): densities and samples of coupling and MAF flows; it has no M-flows."""

from functools import partial

import torch
import zuko
from torch import Tensor, nn
from zuko.distributions import DiagNormal
from zuko.flows.coupling import GeneralCouplingTransform
from zuko.lazy import Flow, UnconditionalDistribution, UnconditionalTransform
from zuko.transforms import LULinearTransform, MonotonicRQSTransform, PermutationTransform

import torch_common as common
from protocol import Lacks, Run, serve


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
    layer.append(
        GeneralCouplingTransform(
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


def open_case(case: dict) -> tuple[Run, str]:
    if case["quantity"] not in ("nll_step", "log_prob", "sample"):
        raise Lacks("zuko has densities and samples of flows but no M-flows")
    common.prepare(case)
    x, context = common.points(case)
    if case["map"] == "maf":
        note = "affine MAF of zuko"
        flow = zuko.flows.MAF(
            case["dim"],
            case.get("context", 0),
            transforms=case["layers"],
            hidden_features=[case["hidden"]] * 2,
        )
    else:
        note = f"MLP with {2 * case['blocks']} hidden x hidden matrices for the residual net"
        flow = coupling_flow(case)

    def sample() -> Tensor:
        # A flow of a batch of contexts draws one sample for each of its rows.
        shape = (case["batch"],) if context is None else ()
        return flow(context).sample(shape)

    match case["quantity"]:
        case "nll_step":
            parameters = flow.parameters()
            return common.make_step(parameters, lambda: -flow(context).log_prob(x).mean()), note
        case "log_prob":
            return common.without_gradients(lambda: flow(context).log_prob(x)), note
        case _:
            return common.without_gradients(sample), note


if __name__ == "__main__":
    # torch.distributions checks all arguments unless told otherwise, which costs time.
    torch.distributions.Distribution.set_default_validate_args(False)
    serve(open_case, ["torch", "zuko", "numpy"])
