"""A model file of an M-flow or ambient flow, read and evaluated by NumPy alone, without mflow.

It shows what a model file holds, for those who want its numbers in another framework: copy it and replace NumPy by yours. The flows are
splines (`kind = "spline"`), as `MFlow` has them by default, without a context. Tests compare it with mflow.
"""

import json

import numpy as np

TYPES = {"F32": "<f4", "F64": "<f8", "U32": "<u4", "U8": "u1"}


def read(path):
    """The config and the tensors of a model file, in double precision: the format is safetensors."""
    data = open(path, "rb").read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    config = json.loads(header.pop("__metadata__")["config"])

    def tensor(entry):
        first, last = entry["data_offsets"]
        values = np.frombuffer(data[start + first : start + last], TYPES[entry["dtype"]])
        return values.reshape(entry["shape"]).astype("f8" if entry["dtype"][0] == "F" else "i8")

    return config, {name: tensor(entry) for name, entry in header.items()}


def net(p, name, z, blocks):
    """A residual network."""
    linear = lambda layer, h: h @ p[f"{name}.{layer}.weight"].T + p[f"{name}.{layer}.bias"]
    h = linear("initial", z)
    for i in range(blocks):
        u = linear(f"blocks.{i}.linear.0", np.maximum(h, 0))
        h = h + linear(f"blocks.{i}.linear.1", np.maximum(u, 0))
    return linear("final", h)


def knots(raw, bound):
    """Ends of bins on `[-bound, bound]`."""
    share = np.exp(raw - raw.max(-1, keepdims=True))
    width = 0.001 + (1 - 0.001 * raw.shape[-1]) * share / share.sum(-1, keepdims=True)
    ends = np.concatenate([0 * width[..., :1], np.cumsum(width, -1)], -1)
    ends[..., -1] = 1
    return bound * (2 * ends - 1)


def spline(x, raw, flow, back):
    """Rational-quadratic splines of `x: [B, D]`, or their inverses, with the sum of the logarithms of their slopes."""
    bins, bound = flow["bins"], flow["tail_bound"]
    widths, heights, slopes = np.split(raw, [bins, 2 * bins], -1)
    xs, ys = (knots(part / np.sqrt(flow["hidden"]), bound) for part in (widths, heights))
    slopes = np.pad(0.001 + np.logaddexp(0, slopes), [(0, 0), (0, 0), (1, 1)], constant_values=1)
    k = np.clip((x[..., None] >= (ys if back else xs)).sum(-1) - 1, 0, bins - 1)[..., None]
    at = lambda values, i: np.take_along_axis(values, i, -1)[..., 0]
    x0, y0, w, h = at(xs, k), at(ys, k), at(np.diff(xs), k), at(np.diff(ys), k)
    a, b, d = at(slopes, k), at(slopes, k + 1), h / w
    c = a + b - 2 * d
    if back:
        y = x - y0
        q2, q1, q0 = h * (d - a) + y * c, h * a - y * c, -d * y
        t = 2 * q0 / (-q1 - np.sqrt(np.maximum(q1**2 - 4 * q2 * q0, 0)))
    else:
        t = (x - x0) / w
    q = t * (1 - t)
    y = x0 + t * w if back else y0 + h * (d * t**2 + a * q) / (d + c * q)
    slope = d**2 * (b * t**2 + 2 * d * q + a * (1 - t) ** 2) / (d + c * q) ** 2
    inside = np.abs(x) <= bound
    log_slope = np.where(inside, np.log(np.where(inside, slope, 1)), 0).sum(-1)
    return np.where(inside, y, x), -log_slope if back else log_slope


def run(p, group, flow, x, back):
    """A flow from data to latent, or back, with its log-determinant."""
    names = [name.split(".") for name in p if name.split(".")[0] == group]
    numbers = sorted({int(name[1]) for name in names})
    couplings = [i for i in numbers if f"{group}.{i}.net.final.bias" in p]
    log_det = np.zeros(len(x))
    for i in reversed(numbers) if back else numbers:
        name = f"{group}.{i}"
        if f"{name}.permutation" in p:
            order = p[f"{name}.permutation"]
            x = x[:, np.argsort(order) if back else order]
        elif i in couplings:
            first = couplings.index(i) % min(2, x.shape[1])
            moved, kept = slice(first, None, 2), slice(1 - first, None, 2)
            raw = net(p, f"{name}.net", x[:, kept], flow["blocks"])
            x = x.copy()
            x[:, moved], change = spline(x[:, moved], raw.reshape(*x[:, moved].shape, -1), flow, back)
            log_det += change
        else:
            d = x.shape[1]
            lower, upper = np.eye(d), np.zeros((d, d))
            lower[np.tril_indices(d, -1)] = p[f"{name}.lower_entries"]
            upper[np.triu_indices(d, 1)] = p[f"{name}.upper_entries"]
            diagonal = np.logaddexp(0, p[f"{name}.unconstrained_upper_diag"]) + 0.001
            matrix, bias = lower @ (upper + np.diag(diagonal)), p[f"{name}.bias"]
            x = np.linalg.solve(matrix, (x - bias).T).T if back else x @ matrix.T + bias
            log_det += (-1 if back else 1) * np.log(diagonal).sum()
    return x, log_det


class Model:
    """`x = normalization(frame(outer(inner(latent), 0)))`, and densities on the manifold."""

    def __init__(self, path):
        self.config, self.p = read(path)
        self.n, self.d = self.config["manifold_dim"], self.config["data_dim"]
        # Both may be missing, and then do nothing.
        units = self.config.get("normalization") or {"shift": np.zeros(self.d), "scale": np.ones(self.d)}
        self.shift, self.scale = np.asarray(units["shift"]), np.asarray(units["scale"])
        frame = self.config.get("frame") or {"center": np.zeros(self.d), "axes": np.eye(self.d), "scale": 1.0}
        self.center, self.axes = np.asarray(frame["center"]), frame["scale"] * np.asarray(frame["axes"])

    def outer(self, x, back):
        return run(self.p, "outer", self.config["outer"], x, back)[0] if "outer" in self.config else x

    def decode(self, latent):
        """Latents `[B, N]` to points `[B, D]`."""
        return self.embed(run(self.p, "inner", self.config["inner"], latent, True)[0])

    def embed(self, u):
        padded = np.pad(u, [(0, 0), (0, self.d - self.n)])
        return (self.outer(padded, True) @ self.axes + self.center) * self.scale + self.shift

    def coordinates(self, x):
        y = np.linalg.solve(self.axes.T, ((x - self.shift) / self.scale - self.center).T).T
        return self.outer(y, False)[:, : self.n]

    def encode(self, x):
        """Points `[B, D]` to latents `[B, N]`."""
        return run(self.p, "inner", self.config["inner"], self.coordinates(x), False)[0]

    def log_prob(self, x, step=1e-6):
        """Log-density of the projections of points, `[B]`; the volume by differences."""
        u = self.coordinates(x)
        moves = [step * row for row in np.eye(self.n)]
        rows = np.stack([self.embed(u + m) - self.embed(u - m) for m in moves], 1) / (2 * step)
        volume = np.linalg.slogdet(rows @ rows.swapaxes(1, 2))[1] / 2
        latent, log_det = run(self.p, "inner", self.config["inner"], u, False)
        return -0.5 * (latent**2 + np.log(2 * np.pi)).sum(1) + log_det - volume
