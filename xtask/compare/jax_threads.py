"""Limits the threads of JAX; import it before jax.

XLA sizes its pool by the cores the process may run on when the backend starts, so the process is
bound to as many cores as MFLOW_THREADS says (default 2).
"""

import os

THREADS = int(os.environ.get("MFLOW_THREADS", "2"))

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
flags = [os.environ.get("XLA_FLAGS", "")]
if THREADS == 1:
    flags.append("--xla_cpu_multi_thread_eigen=false")
os.environ["XLA_FLAGS"] = " ".join(flags).strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")
