"""The worker side of the comparison: JSON lines in, JSON lines out.

A peer hands `serve` a function `open_case(case) -> (run, note)`. `run()` does one repetition of
the case and returns only when its work is done.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

Run = Callable[[], object]


class Lacks(Exception):
    """The peer cannot do what the case asks for; the text says why."""


def one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or "no text"
    return text if isinstance(error, Lacks) else f"{type(error).__name__}: {text}"[:400]


def seconds_of(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def serve(open_case: Callable[[dict], tuple[Run, str]], packages: list[str]) -> None:
    # Anything a library prints must not end up between the answers, so the
    # answers get their own copy of stdout and everyone else is sent to stderr.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run: Run | None = None

    def answer(request: dict) -> dict:
        nonlocal run
        if "versions" in request:
            return {"versions": {name: version(name) for name in packages}}
        if "time" in request:
            if run is None:
                return {"error": "no case is open"}
            return {"seconds": [seconds_of(run) for _ in range(request["time"])]}
        if "open" not in request:
            return {"error": "unknown request"}
        run = None
        gc.collect()
        try:
            run, note = open_case(request["open"])
        except Exception as error:  # whatever goes wrong, the caller gets the reason
            return {"lacks": one_line(error)}
        return {"ready": True, "note": note}

    for line in sys.stdin:
        if line.strip():
            try:
                reply = answer(json.loads(line))
            except Exception as error:
                reply = {"error": one_line(error)}
            print(json.dumps(reply), file=answers, flush=True)
