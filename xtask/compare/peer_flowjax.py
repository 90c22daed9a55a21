"""flowjax (JAX): all quantities, each compiled into one function."""

from collections.abc import Callable

import jax_threads  # before jax, which reads the number of cores when it starts

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from paramax import unwrap

from flowjax_models import flow, to_latent
from protocol import Lacks, Run, serve

Model = eqx.Module | tuple

PLAIN = ("nll_step", "log_prob", "sample")
MANIFOLD = ("manifold_step", "density_step", "joint_step", "exact_log_prob")


def repeated_step(model: Model, loss: Callable[..., jax.Array], *inputs: jax.Array) -> Run:
    """A training step as one compiled function that keeps and reuses its own state."""
    optimizer = optax.chain(
        optax.clip_by_global_norm(10.0), optax.adamw(3e-4, weight_decay=1e-6)
    )
    parameters, static = eqx.partition(model, eqx.is_inexact_array)

    def of_parameters(values: Model, *inputs: jax.Array) -> jax.Array:
        return loss(unwrap(eqx.combine(values, static)), *inputs)

    def update(values: Model, moments: optax.OptState, *inputs: jax.Array) -> tuple:
        value, gradients = jax.value_and_grad(of_parameters)(values, *inputs)
        changes, moments = optimizer.update(gradients, moments, values)
        return optax.apply_updates(values, changes), moments, value

    # Donated, so that parameters and moments are overwritten in place. Equal
    # constants may share a buffer, which cannot be donated twice: copy them.
    step = jax.jit(update, donate_argnums=(0, 1))
    state = jax.tree.map(jnp.copy, (parameters, optimizer.init(parameters)))

    def run() -> None:
        nonlocal state
        *state, value = step(*state, *inputs)
        jax.block_until_ready((state, value))

    return run


def repeated_call(model: Model, compute: Callable[..., jax.Array], *inputs: jax.Array) -> Run:
    parameters, static = eqx.partition(model, eqx.is_array)
    compiled = jax.jit(lambda values, *rest: compute(unwrap(eqx.combine(values, static)), *rest))

    def run() -> jax.Array:
        return jax.block_until_ready(compiled(parameters, *inputs))

    return run


def batched(function: Callable, x: jax.Array, context: jax.Array | None) -> jax.Array:
    return jax.vmap(function, in_axes=(0, None if context is None else 0))(x, context)


def plain(case: dict, x: jax.Array, context: jax.Array | None) -> Run:
    model = flow(jr.key(2), case["dim"], case["layers"], case, case.get("context", 0))

    def log_prob(model: Model, x: jax.Array) -> jax.Array:
        return batched(model.log_prob, x, context)

    def sample(model: Model, key: jax.Array) -> jax.Array:
        noise = jr.normal(key, (case["batch"], case["dim"]))
        return batched(model.bijection.transform, noise, context)

    if case["quantity"] == "nll_step":
        return repeated_step(model, lambda *both: -log_prob(*both).mean(), x)
    if case["quantity"] == "log_prob":
        return repeated_call(model, log_prob, x)
    # The key is an argument, so each call draws anew, though the same numbers.
    return repeated_call(model, sample, jr.key(3))


def mean_squared(x: jax.Array, decoded: jax.Array) -> jax.Array:
    return jnp.square(x - decoded).mean()


def manifold(case: dict, x: jax.Array, context: jax.Array | None) -> Run:
    rank, padding = case["manifold"], case["dim"] - case["manifold"]
    outer = to_latent(jr.key(2), case["dim"], case["layers"], case)

    def encode(outer: Model, x: jax.Array) -> jax.Array:
        return outer.transform(x)[:rank]

    def decode(outer: Model, u: jax.Array) -> jax.Array:
        return outer.inverse(jnp.pad(u, (0, padding)))

    def reconstruct(outer: Model, x: jax.Array) -> jax.Array:
        return jax.vmap(lambda point: decode(outer, encode(outer, point)))(x)

    if case["quantity"] not in MANIFOLD:
        raise Lacks(f"no quantity {case['quantity']}")
    if case["quantity"] == "manifold_step":
        return repeated_step(outer, lambda outer, x: mean_squared(x, reconstruct(outer, x)), x)

    inner = flow(jr.key(4), rank, case["inner_layers"], case, case.get("context", 0))

    if case["quantity"] == "density_step":
        fixed = unwrap(outer)

        def negative_log_likelihood(inner: Model, x: jax.Array) -> jax.Array:
            u = jax.vmap(lambda point: encode(fixed, point))(x)
            return -batched(inner.log_prob, u, context).mean()

        # The points are an argument: as a constant, XLA would encode them while compiling.
        return repeated_step(inner, negative_log_likelihood, x)

    def exact(both: Model, point: jax.Array, context: jax.Array | None) -> tuple:
        """The reconstruction of one point and its exact log density on the manifold."""
        outer, inner = both
        u = encode(outer, point)
        # Linearized once, then pushed along all n directions.
        decoded, push = jax.linearize(lambda u: decode(outer, u), u)
        rows = jax.vmap(push)(jnp.eye(rank))
        volume = jnp.log(jnp.diagonal(jnp.linalg.cholesky(rows @ rows.T))).sum()
        return decoded, inner.log_prob(u, context) - volume

    def joint_loss(both: Model, x: jax.Array) -> jax.Array:
        decoded, log_density = batched(lambda *row: exact(both, *row), x, context)
        return mean_squared(x, decoded) - log_density.mean()

    if case["quantity"] == "joint_step":
        return repeated_step((outer, inner), joint_loss, x)

    def exact_log_prob(both: Model, x: jax.Array) -> jax.Array:
        return batched(lambda *row: exact(both, *row)[1], x, context)

    on_manifold = repeated_call(outer, reconstruct, x)()
    return repeated_call((outer, inner), exact_log_prob, on_manifold)


def check_process(case: dict) -> None:
    """Device and threads are those of the whole process, so a case can only agree with them."""
    device = case.get("device", "cpu")
    here = "cuda" if jax.default_backend() == "gpu" else jax.default_backend()
    if device != here:
        raise Lacks(f"JAX of this process runs on {here}, not on {device} (set JAX_PLATFORMS)")
    if here == "cpu" and case["threads"] != jax_threads.THREADS:
        raise Lacks(f"started for {jax_threads.THREADS} threads (set MFLOW_THREADS)")
    if here != "cpu":
        # All products in f32, as those of mflow: the default would be TF32.
        jax.config.update("jax_default_matmul_precision", "highest")


def open_case(case: dict) -> tuple[Run, str]:
    check_process(case)
    x = jr.normal(jr.key(0), (case["batch"], case["dim"]))
    width = case.get("context", 0)
    context = jr.normal(jr.key(1), (case["batch"], width)) if width else None

    run = (plain if case["quantity"] in PLAIN else manifold)(case, x, context)
    for _ in range(2):  # the first call compiles, the second is warm
        run()
    if case["map"] == "maf":
        return run, "affine MAF of flowjax"
    notes = [f"MLP with {2 * case['blocks']} hidden x hidden matrices for the residual net"]
    notes.append("the two slopes at the tail bound are free, so each spline has 2 more parameters")
    if case["linear"] == "lu":
        notes.append("LU as two triangular maps with free diagonals")
    return run, "; ".join(notes)


if __name__ == "__main__":
    serve(open_case, ["jax", "jaxlib", "flowjax", "equinox", "optax", "numpy"])
