"""Three ways to the Jacobian of a decoder with autodiff; each one returns (x, J).

A decoder maps latents [B, n] to points [B, d] row by row; J has the shape [B, d, n].
"""

from collections.abc import Callable

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

Decoder = Callable[[Tensor], Tensor]


def unit_vectors(latent: Tensor) -> Tensor:
    return torch.eye(latent.shape[1], dtype=latent.dtype, device=latent.device)


def by_vmap(decode: Decoder, latent: Tensor) -> tuple[Tensor, Tensor]:
    """All n tangents of a point batched by vmap around one primal pass."""
    rows, n = latent.shape
    directions = unit_vectors(latent)[:, None, :].expand(n, rows, n)

    def push(direction: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.jvp(decode, (latent,), (direction,))

    # out_dims None fails if the points were batched too: the primal pass runs once.
    x, columns = torch.func.vmap(push, out_dims=(None, -1))(directions)
    return x, columns


def by_duals(decode: Decoder, latent: Tensor) -> tuple[Tensor, Tensor]:
    """Dual numbers, each point repeated n times with another unit tangent."""
    rows, n = latent.shape
    repeated = latent.repeat_interleave(n, dim=0)
    directions = unit_vectors(latent).repeat(rows, 1)
    with forward_ad.dual_level():
        dual = decode(forward_ad.make_dual(repeated, directions))
        x, columns = forward_ad.unpack_dual(dual)
    return x[::n], columns.reshape(rows, n, -1).transpose(1, 2)


def by_reverse(decode: Decoder, latent: Tensor) -> tuple[Tensor, Tensor]:
    """One backward pass for each of the d outputs."""
    for_training = torch.is_grad_enabled()
    with torch.enable_grad():
        if not latent.requires_grad:
            latent = latent.detach().requires_grad_()
        x = decode(latent)
        gradients = [
            torch.autograd.grad(
                column.sum(), latent, create_graph=for_training, retain_graph=True
            )[0]
            for column in x.unbind(1)
        ]
    return x, torch.stack(gradients, dim=1)


ROUTES: dict[str, Callable[[Decoder, Tensor], tuple[Tensor, Tensor]]] = {
    "vmap of jvp": by_vmap,
    "forward duals on repeated rows": by_duals,
    "reverse mode": by_reverse,
}


def log_volume(jacobian: Tensor) -> Tensor:
    """Half the log determinant of J^T J."""
    gram = jacobian.transpose(1, 2) @ jacobian
    # Errors are looked for as in `torch.linalg.cholesky`, but not on a GPU: that waits for it.
    factor, _ = torch.linalg.cholesky_ex(gram, check_errors=not gram.is_cuda)
    return factor.diagonal(dim1=1, dim2=2).log().sum(1)
