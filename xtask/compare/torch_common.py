"""What the PyTorch peers share: devices, data, the training step and picking the fastest way."""

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from protocol import Lacks, Run, one_line, seconds_of

Compute = Callable[[], Tensor]
Repeat = Callable[[Compute], Run]
"""Makes one repetition out of a function: a call of it, or a training step on it."""

SLOW = 20.0  # a candidate that takes longer than this in one call is not timed further
ENOUGH = 2.0  # seconds on a GPU after which a candidate needs no more calls
COMPILE_SECONDS = 120.0  # what all that is captured and compiled for a case may take together

EAGER, CAPTURED, COMPILED = "eager", "one CUDA graph", "compiled"
BOTH, REDUCED = "compiled, one CUDA graph", "compiled with reduce-overhead"
WAYS = (EAGER, CAPTURED, COMPILED, BOTH, REDUCED)  # in the order of what they cost to try


def prepare(case: dict, seed: int = 0) -> torch.device:
    """Settles threads, precision and seed; what is built `with` the result is on the case's device.

    As the default device for good it would be a mode that every call of torch goes through, timed
    ones too. So whatever is made in a repetition has to name its device.
    """
    device = torch.device(case.get("device", "cpu"))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise Lacks("torch finds no CUDA device")
    torch.set_num_threads(case["threads"])
    # All products in f32, as those of mflow: TF32 keeps 10 bits of a factor.
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(seed)
    if compiles(case):
        # The cases before would count towards how often a function may be compiled again.
        torch.compiler.reset()
    return device


def on_gpu(case: dict) -> bool:
    return case.get("device", "cpu") == "cuda"


def compiles(case: dict) -> bool:
    return case.get("compile", on_gpu(case))


def fixed_shapes(case: dict) -> bool:
    """Whether the peers are to be built without what can be neither captured nor compiled."""
    return on_gpu(case) or compiles(case)


def points(case: dict) -> tuple[Tensor, Tensor | None]:
    """The case's data and its context features, if it has any."""
    data = torch.randn(case["batch"], case["dim"])
    width = case.get("context", 0)
    return data, torch.randn(case["batch"], width) if width else None


def adamw(
    parameters: Iterable[nn.Parameter], rate: float = 3e-4, weight_decay: float = 1e-6
) -> torch.optim.AdamW:
    kept = list(parameters)
    # Capturable: its count of steps is on the GPU, so that a CUDA graph can hold it.
    on = {"fused": True, "capturable": kept[0].is_cuda}
    return torch.optim.AdamW(kept, lr=rate, weight_decay=weight_decay, **on)


def make_step(parameters: Iterable[nn.Parameter], loss: Compute) -> Run:
    """One training step: gradients of `loss`, clipping at global norm 10, AdamW."""
    kept = list(parameters)
    optimizer = adamw(kept)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        nn.utils.clip_grad_norm_(kept, 10.0)
        optimizer.step()
        return value

    return step


def without_gradients(compute: Compute) -> Run:
    def run() -> Tensor:
        with torch.inference_mode():
            return compute()

    return run


def captured(run: Run) -> Run:
    """`run` as one CUDA graph, captured in the first call; a call overwrites what the last returned."""
    graph: torch.cuda.CUDAGraph | None = None
    result: object = None

    def capture() -> None:
        nonlocal graph, result
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):  # what is made or compiled only once is no part of the graph
                run()
            # What waits for the GPU cannot be captured. It has to fail here: a capture that
            # breaks off leaves its stream and its random numbers behind, for all later ones.
            torch.cuda.set_sync_debug_mode("error")
            try:
                run()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        torch.cuda.current_stream().wait_stream(stream)
        made = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(made, stream=stream):
                result = run()
        except BaseException:
            torch.cuda.set_stream(torch.cuda.default_stream())
            fresh = torch.Generator("cuda").graphsafe_get_state()
            torch.cuda.default_generators[torch.cuda.current_device()].graphsafe_set_state(fresh)
            raise
        graph = made

    def replay() -> object:
        if graph is None:
            capture()
        graph.replay()
        return result

    return replay


def finished(run: Run) -> Run:
    """`run` on a GPU, returning only when the GPU is done."""

    def both() -> object:
        result = run()
        torch.cuda.synchronize()
        return result

    return both


def ways(case: dict, compute: Compute, repeat: Repeat) -> dict[str, Run]:
    """The ways to repeat `compute`. All but the first are for a GPU, where launches cost most."""
    runs = {EAGER: repeat(compute)}
    if on_gpu(case):
        runs[CAPTURED] = captured(repeat(compute))
    if compiles(case):
        # Else the backward pass compiles in the thread that runs it, where no alarm stops it.
        torch._functorch.config.force_non_lazy_backward_lowering = True
        compiled = torch.compile(compute, dynamic=False)
        runs[COMPILED] = repeat(compiled)
        if on_gpu(case):
            runs[BOTH] = captured(repeat(compiled))
            reduced = torch.compile(compute, dynamic=False, mode="reduce-overhead")
            runs[REDUCED] = repeat(reduced)
    return {name: finished(run) for name, run in runs.items()} if on_gpu(case) else runs


def named(parts: dict[str, dict[str, Run]]) -> dict[str, Run]:
    """Candidates out of the ways to do each part, with what is quick to try first."""
    found = [(way, part) for part, runs in parts.items() for way in runs]
    found.sort(key=lambda pair: WAYS.index(pair[0]))
    if all(way == EAGER for way, _ in found):
        return {part: runs[EAGER] for part, runs in parts.items()}
    return {", ".join(filter(None, (part, way))): parts[part][way] for way, part in found}


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raises what is run within out of itself when the time is over."""
    if seconds <= 0:
        raise TimeoutError("no time left to try it")

    def stop(*_: object) -> None:
        raise TimeoutError("took too long to get ready")

    before = signal.signal(signal.SIGALRM, stop)
    # Again and again, since an exception in a destructor is lost.
    signal.setitimer(signal.ITIMER_REAL, seconds, 10.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fastest(case: dict, candidates: dict[str, Run], calls: int = 3) -> tuple[str, list[str]]:
    """The name of the fastest candidate, and a line for each other one: how it compares or failed."""
    if len(candidates) == 1:
        name, run = next(iter(candidates.items()))
        run()
        return name, []
    best: dict[str, float] = {}
    others = []
    bounded = fixed_shapes(case)
    left = case.get("compile_seconds", COMPILE_SECONDS)

    def get_ready(name: str, run: Run) -> None:
        nonlocal left
        if EAGER in name:
            run()
            return
        start = time.perf_counter()
        try:
            with at_most(left):
                run()
        finally:
            left -= time.perf_counter() - start

    def shortest(name: str, run: Run) -> float:
        if not bounded:
            first = seconds_of(run)
            return first if first > SLOW else min(seconds_of(run) for _ in range(calls))
        get_ready(name, run)
        times = [seconds_of(run)]
        while len(times) < calls and sum(times) < ENOUGH:
            times.append(seconds_of(run))
        return min(times)

    for name, run in candidates.items():
        try:
            best[name] = shortest(name, run)
        except Exception as error:
            others.append(f"{name} failed ({one_line(error)[:120]})")
    if not best:
        raise RuntimeError("; ".join(others))
    winner = min(best, key=best.__getitem__)
    losers = [(name, t / best[winner]) for name, t in best.items() if name != winner]
    others += [f"{name} takes {ratio:.2g} times as long" for name, ratio in losers]
    return winner, others
