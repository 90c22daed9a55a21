"""The platform and the threads of JAX; import it before jax.

On the CPU, the default, XLA sizes its pool by the cores that the process may run on when the backend
starts, so the process is bound to as many cores as MFLOW_THREADS says (default 2). Measured on a
product of 4000 x 2000 and 2000 x 2000 matrices: 340 ms and 1.0 cores busy with 1, 168 ms and 2.0
cores busy with 2. For a GPU start the process with JAX_PLATFORMS=cuda; then no cores are bound.
"""

import os

THREADS = int(os.environ.get("MFLOW_THREADS", "2"))
ON_CPU = os.environ.setdefault("JAX_PLATFORMS", "cpu") == "cpu"

if ON_CPU and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
# Else it takes three quarters of a GPU at once, which the workers share.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
