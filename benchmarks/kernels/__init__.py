"""Speed and memory of ``wmhflow.core``: ``make bench`` prints the tables."""

import os

# Before numpy and its company start their threads: everybody gets two.
THREADS = 2
for variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = str(THREADS)
