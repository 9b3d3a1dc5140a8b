# SPDX-License-Identifier: MIT
"""A host in Python, as host_reads.c is one in C. Prints one number:

    host_reads.py next LOADER      nanoseconds that next() takes for a number
                                   that is ready
    host_reads.py tensors LOADER   items a second, each in numpy.from_dlpack
"""

import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bindings" / "python"))

import numpy  # noqa: E402

import neap  # noqa: E402

WARM, RUNS, OF_RUN = 500, 400, 1022


def read_ready(path):
    """The rest of a run is ready when its first item is there."""
    least = float("inf")
    with neap.open(path) as loader:
        loop = iter(loader)
        for _ in range(RUNS):
            next(loop)
            since = time.perf_counter_ns()
            for _ in range(OF_RUN):
                next(loop)
            least = min(least, (time.perf_counter_ns() - since) / OF_RUN)
            next(loop)
    return least


def read_tensors(path):
    with neap.open(path) as loader:
        count = len(loader)
        for i, tensor in enumerate(loader):
            if i == WARM:
                since = time.perf_counter()
            array = numpy.from_dlpack(tensor)
            if i % 100 == 0:
                assert array[0, 0, 0] == i + 1
        return (count - WARM) / (time.perf_counter() - since)


print({"next": read_ready, "tensors": read_tensors}[sys.argv[1]](sys.argv[2]))
