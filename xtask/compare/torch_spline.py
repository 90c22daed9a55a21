"""A rational-quadratic spline with linear tails for nflows, without boolean indexing.

nflows picks the inside points with a mask, which costs copies and cannot be batched by
`torch.func.vmap`. Here points outside are clamped to the interval and put back at the end, so that
all shapes are fixed. Parameters, minimal sizes and results are those of nflows.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def softmax(free: Tensor) -> Tensor:
    """F.softmax spelled out: its forward-mode rule writes in place and has no gradient."""
    weight = torch.exp(free - free.detach().amax(-1, keepdim=True))
    return weight / weight.sum(-1, keepdim=True)


def knots(free: Tensor, bound: float, smallest: float) -> Tensor:
    """Increasing knots from -bound to bound, one more than there are bins."""
    share = smallest + (1 - smallest * free.shape[-1]) * softmax(free)
    inner = 2 * bound * torch.cumsum(share[..., :-1], dim=-1) - bound
    # Both ends are exact and not sums, so that no point inside can lie beyond them.
    return F.pad(F.pad(inner, (1, 0), value=-bound), (0, 1), value=bound)


def spline(
    inputs: Tensor,
    unnormalized_widths: Tensor,
    unnormalized_heights: Tensor,
    unnormalized_derivatives: Tensor,
    inverse: bool = False,
    tails: str = "linear",
    tail_bound: float = 1.0,
    min_bin_width: float = 1e-3,
    min_bin_height: float = 1e-3,
    min_derivative: float = 1e-3,
) -> tuple[Tensor, Tensor]:
    assert tails == "linear"
    inside = (inputs >= -tail_bound) & (inputs <= tail_bound)
    point = inputs.clamp(-tail_bound, tail_bound)

    xs = knots(unnormalized_widths, tail_bound, min_bin_width)
    ys = knots(unnormalized_heights, tail_bound, min_bin_height)
    slope_one = math.log(math.exp(1 - min_derivative) - 1)
    slopes = F.pad(unnormalized_derivatives, (1, 1), value=slope_one)

    inner = (ys if inverse else xs)[..., 1:-1]
    left = (point[..., None] >= inner).sum(-1, keepdim=True)
    ends = torch.cat((left, left + 1), dim=-1)
    x0, x1 = xs.gather(-1, ends).unbind(-1)
    y0, y1 = ys.gather(-1, ends).unbind(-1)
    # Only the two slopes in use are made positive, not all of them.
    d0, d1 = (min_derivative + F.softplus(slopes.gather(-1, ends))).unbind(-1)

    width, height = x1 - x0, y1 - y0
    secant = height / width
    bend = d0 + d1 - 2 * secant
    if inverse:
        rise = point - y0
        a = rise * bend + height * (secant - d0)
        b = height * d0 - rise * bend
        c = -secant * rise
        t = 2 * c / (-b - torch.sqrt(b * b - 4 * a * c))
    else:
        t = (point - x0) / width
    s = 1 - t
    denominator = secant + bend * t * s
    slope = secant**2 * (d1 * t**2 + 2 * secant * t * s + d0 * s**2)
    log_slope = torch.log(slope) - 2 * torch.log(denominator)
    if inverse:
        outputs, log_slope = t * width + x0, -log_slope
    else:
        outputs = y0 + height * (secant * t**2 + d0 * t * s) / denominator
    return torch.where(inside, outputs, inputs), torch.where(inside, log_slope, 0.0)
