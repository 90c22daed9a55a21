"""The compared architectures built from flowjax bijections. Their `transform` goes to the latent."""

import jax
import jax.numpy as jnp
import jax.random as jr
from flowjax.bijections import (
    AbstractBijection,
    Affine,
    Chain,
    Coupling,
    Flip,
    Invert,
    MaskedAutoregressive,
    Permute,
    RationalQuadraticSpline,
    TriangularAffine,
)
from flowjax.distributions import StandardNormal, Transformed


def lu(features: int) -> list[AbstractBijection]:
    """flowjax has no LU layer, but its triangular maps compose to one; identity at the start."""
    shift, identity = jnp.zeros(features), jnp.eye(features)
    return [
        TriangularAffine(shift, identity, lower=False),
        TriangularAffine(shift, identity, lower=True),
    ]


def coupling(key: jax.Array, index: int, features: int, case: dict, context: int) -> list:
    order_key, net_key = jr.split(key)
    layer = [Permute(jr.permutation(order_key, features))]
    if case["linear"] == "lu":
        layer += lu(features)
    # flowjax keeps the first features. After a random permutation that is the same as keeping
    # the even or odd ones, as long as their numbers agree.
    kept = (features + 1) // 2 if index % 2 == 0 else features // 2
    layer.append(
        Coupling(
            net_key,
            # Bins are one more than the inner knots.
            transformer=RationalQuadraticSpline(
                knots=case["bins"] - 1, interval=case["tail_bound"]
            ),
            untransformed_dim=kept,
            dim=features,
            cond_dim=context or None,
            nn_width=case["hidden"],
            # One layer from the input and as many square ones as the residual blocks have.
            nn_depth=2 * case["blocks"] + 1,
        )
    )
    return layer


def autoregressive(key: jax.Array, index: int, features: int, case: dict, context: int) -> list:
    made = MaskedAutoregressive(
        key,
        transformer=Affine(),
        dim=features,
        cond_dim=context or None,
        nn_width=case["hidden"],
        nn_depth=2,
    )
    return [Flip((features,)), made] if index else [made]


def to_latent(key: jax.Array, features: int, layers: int, case: dict, context: int = 0) -> Chain:
    build = autoregressive if case["map"] == "maf" else coupling
    keys = jr.split(key, layers)
    return Chain(
        [part for i in range(layers) for part in build(keys[i], i, features, case, context)]
    )


def flow(key: jax.Array, features: int, layers: int, case: dict, context: int = 0) -> Transformed:
    return Transformed(
        StandardNormal((features,)), Invert(to_latent(key, features, layers, case, context))
    )
