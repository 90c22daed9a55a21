"""The compiled part: what Python needs of the library, on arrays of NumPy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, final

from numpy.typing import NDArray

_Floats = NDArray[Any]

__all__ = [
    "Bijector",
    "Model",
    "Simulator",
    "VERSION",
    "auc",
    "charts",
    "classifier_two_sample",
    "coverage",
    "dimension",
    "fit",
    "frechet_distance",
    "kernel_distance",
    "kinds",
    "kolmogorov_smirnov",
    "sample_posterior",
    "set_default_threads",
    "simulator_names",
    "squared_mmd",
    "threads",
    "write_report",
]

VERSION: str

@final
class Model:
    @staticmethod
    def load(path: Path, dtype: str | None = None) -> Model: ...
    @staticmethod
    def from_bytes(data: bytes, dtype: str | None = None) -> Model: ...
    def to_bytes(self) -> bytes: ...
    def save(self, path: Path) -> None: ...
    @property
    def signature(self) -> dict[str, Any]: ...
    @property
    def config(self) -> str: ...
    @property
    def columns(self) -> list[str] | None: ...
    @property
    def provenance(self) -> dict[str, str]: ...
    @property
    def score_names(self) -> list[str]: ...
    def _ask(
        self,
        what: str,
        x: _Floats,
        context: _Floats | None = None,
        threads: int | None = None,
    ) -> _Floats: ...
    def log_density(
        self,
        density: str,
        x: _Floats,
        context: _Floats | None = None,
        threads: int | None = None,
    ) -> _Floats: ...
    def sample(
        self,
        n: int,
        context: _Floats | None = None,
        seed: int = 0,
        on_manifold: bool = False,
        threads: int | None = None,
    ) -> _Floats: ...

@final
class Bijector:
    def __new__(
        cls,
        config: str,
        seed: int = 0,
        double: bool = True,
        parameters: dict[str, _Floats] | None = None,
    ) -> Bijector: ...
    @property
    def shapes(self) -> tuple[list[int], list[int]]: ...
    @property
    def context_dim(self) -> int | None: ...
    def parameters(self) -> dict[str, _Floats]: ...
    def map(
        self, x: _Floats, context: _Floats | None = None, inverse: bool = False
    ) -> tuple[_Floats, _Floats]: ...
    def push(
        self,
        x: _Floats,
        tangents: _Floats,
        context: _Floats | None = None,
        inverse: bool = False,
    ) -> tuple[_Floats, _Floats, _Floats]: ...

@final
class Simulator:
    def __new__(cls, name: str) -> Simulator: ...
    @property
    def name(self) -> str: ...
    @property
    def data_dim(self) -> int: ...
    @property
    def manifold_dim(self) -> int: ...
    @property
    def is_tractable(self) -> bool: ...
    @property
    def parameter_list(self) -> list[tuple[str, str, float]]: ...
    def sample(
        self, n: int, parameters: _Floats | None = None, seed: int = 0
    ) -> tuple[_Floats, _Floats]: ...
    def log_prob(self, x: _Floats, parameters: _Floats | None = None) -> _Floats: ...
    def project(self, x: _Floats) -> _Floats: ...
    def distance(self, x: _Floats) -> _Floats: ...

def fit(
    request: str,
    x: _Floats,
    context: _Floats | None,
    weights: _Floats | None,
    names: list[str] | None,
    folder: Path,
    resume: bool,
    threads: int | None,
    hear: Callable[[str, dict[str, Any]], None],
) -> bool: ...
def kinds() -> list[tuple[str, str]]: ...
def charts() -> list[str]: ...
def simulator_names() -> list[str]: ...
def set_default_threads(threads: int) -> None: ...
def threads(threads: int | None = None) -> int: ...
def write_report(folders: list[Path], out: Path, threads: int | None = None) -> Path: ...
def sample_posterior(
    model: Model,
    x: _Floats,
    priors: list[str],
    names: list[str],
    sampler: str,
    chains: int,
    draws: int,
    burn_in: int,
    seed: int,
    threads: int | None,
) -> dict[str, Any]: ...
def dimension(
    x: _Floats, standardize: bool = True, seed: int = 0, threads: int | None = None
) -> str: ...
def frechet_distance(x: _Floats, y: _Floats) -> float: ...
def kernel_distance(x: _Floats, y: _Floats, blocks: int) -> tuple[float, float | None]: ...
def squared_mmd(x: _Floats, y: _Floats, scale: float | None = None) -> float: ...
def classifier_two_sample(x: _Floats, y: _Floats, k: int) -> tuple[float, float]: ...
def coverage(
    real: _Floats, generated: _Floats, k: int
) -> list[tuple[float, float | None]]: ...
def auc(positive: _Floats, negative: _Floats) -> float: ...
def kolmogorov_smirnov(a: _Floats, b: _Floats) -> float: ...
