"""An M-flow made of two nflows transforms: f on R^d and the density h on R^n."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nflows_jacobian import ROUTES, log_volume
from nflows_models import Flow, transform


class ManifoldFlow(nn.Module):
    def __init__(self, case: dict, with_density: bool = True) -> None:
        super().__init__()
        self.rank = case["manifold"]
        self.padding = case["dim"] - self.rank
        self.outer = transform(case["dim"], case["layers"], case)
        self.inner: Flow | None = None
        if with_density:
            self.inner = Flow(self.rank, case["inner_layers"], case, case.get("context", 0))

    def encode(self, x: Tensor) -> Tensor:
        return self.outer(x)[0][:, : self.rank]

    def decode(self, u: Tensor) -> Tensor:
        return self.outer.inverse(F.pad(u, (0, self.padding)))[0]

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def exact(self, x: Tensor, context: Tensor | None, route: str) -> tuple[Tensor, Tensor]:
        """The reconstruction and the exact log density on the manifold."""
        u = self.encode(x)
        decoded, jacobian = ROUTES[route](self.decode, u)
        return decoded, self.inner.log_prob(u, context) - log_volume(jacobian)
