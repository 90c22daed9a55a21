"""The compared architectures built from nflows, and the two splines they can run on.

Only `nflows.transforms` and `nflows.nn.nets` are used: the packages `nflows.flows` and
`nflows.distributions` import matplotlib, and all they would add here is the normal base.
"""

import math
import warnings

import torch
from nflows import transforms
from nflows.nn.nets import ResidualNet
from nflows.transforms import splines
from torch import Tensor, nn

from torch_common import fixed_shapes
from torch_spline import spline as mask_free_spline

# nflows still calls triangular_solve; it works, but it says so at every call.
warnings.filterwarnings("ignore", message=".*triangular_solve.*")

SPLINES = {
    "mask-free spline": mask_free_spline,
    "nflows spline": splines.unconstrained_rational_quadratic_spline,
}


def use_spline(name: str) -> None:
    """Lets all nflows couplings, also those built before, run on the named spline."""
    splines.unconstrained_rational_quadratic_spline = SPLINES[name]


def _couple(layer: "Coupling", inputs: Tensor, context: Tensor | None, inverse: bool):
    kept = inputs.index_select(1, layer.identity_features)
    changed = inputs.index_select(1, layer.transform_features)
    parameters = layer.transform_net(kept, context)
    move = layer._coupling_transform_inverse if inverse else layer._coupling_transform_forward
    changed, log_det = move(inputs=changed, transform_params=parameters)
    return torch.cat((kept, changed), dim=1).index_select(1, layer.merge_order), log_det


class Coupling(transforms.PiecewiseRationalQuadraticCouplingTransform):
    """The coupling of nflows without writes in place.

    vmap cannot batch them, and forward duals cannot be differentiated through them.
    """

    def __init__(self, *arguments, **named) -> None:
        super().__init__(*arguments, **named)
        both = torch.cat((self.identity_features, self.transform_features))
        self.merge_order = torch.argsort(both)

    def forward(self, inputs: Tensor, context: Tensor | None = None):
        return _couple(self, inputs, context, inverse=False)

    def inverse(self, inputs: Tensor, context: Tensor | None = None):
        return _couple(self, inputs, context, inverse=True)

    def _piecewise_cdf(self, inputs: Tensor, transform_params: Tensor, inverse: bool = False):
        bins = self.num_bins
        # As in nflows, only widths and heights shrink with the width of the conditioner.
        shapes = transform_params[..., : 2 * bins] / math.sqrt(self.transform_net.hidden_features)
        return splines.unconstrained_rational_quadratic_spline(
            inputs,
            shapes[..., :bins],
            shapes[..., bins:],
            transform_params[..., 2 * bins :],
            inverse=inverse,
            tails=self.tails,
            tail_bound=self.tail_bound,
        )


def coupling(index: int, features: int, case: dict, context: int) -> list[transforms.Transform]:
    """One coupling layer after its permutation (and LU linear)."""
    # Positive entries are transformed: the first layer keeps the even features.
    mask = [1 if i % 2 != index % 2 else -1 for i in range(features)]

    def conditioner(inputs: int, outputs: int) -> ResidualNet:
        return ResidualNet(
            inputs, outputs, case["hidden"], context or None, num_blocks=case["blocks"]
        )

    layer = [transforms.RandomPermutation(features)]
    if case["linear"] == "lu":
        lu = transforms.LULinear(features, identity_init=True)
        if fixed_shapes(case):
            # Its indices are NumPy's, which would be copied to the GPU in every call.
            for name in ("lower_indices", "upper_indices", "diag_indices"):
                setattr(lu, name, tuple(map(torch.as_tensor, getattr(lu, name))))
        layer.append(lu)
    layer.append(
        Coupling(
            mask,
            conditioner,
            num_bins=case["bins"],
            tails="linear",
            tail_bound=case["tail_bound"],
        )
    )
    return layer


def autoregressive(index: int, features: int, case: dict, context: int) -> list:
    """One affine MAF layer; all but the first reverse the features before."""
    made = transforms.MaskedAffineAutoregressiveTransform(
        features,
        case["hidden"],
        context or None,
        num_blocks=1,
        use_residual_blocks=False,
    )
    return [transforms.ReversePermutation(features), made] if index else [made]


def transform(features: int, layers: int, case: dict, context: int = 0) -> transforms.Transform:
    """The map from data to latent; `inverse` goes back."""
    build = autoregressive if case["map"] == "maf" else coupling
    parts = [part for i in range(layers) for part in build(i, features, case, context)]
    return transforms.CompositeTransform(parts)


class Flow(nn.Module):
    """A transform with a standard normal base."""

    def __init__(self, features: int, layers: int, case: dict, context: int = 0) -> None:
        super().__init__()
        self.features = features
        self.device = torch.empty(0).device
        self.log_norm = 0.5 * features * math.log(2 * math.pi)
        self.transform = transform(features, layers, case, context)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        noise, log_det = self.transform(x, context)
        return log_det - 0.5 * noise.square().sum(1) - self.log_norm

    def sample(self, count: int, context: Tensor | None = None) -> Tensor:
        """As many samples as asked for; with context one for each of its rows."""
        noise = torch.randn(count, self.features, device=self.device)
        return self.transform.inverse(noise, context)[0]
