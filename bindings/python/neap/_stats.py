# SPDX-License-Identifier: MIT
"""Counters of a loader and its workers."""

from __future__ import annotations

import ctypes
import dataclasses
from typing import Optional

from ._errors import fail
from ._library import lib

_read_stats = lib.function("neap_read_stats")
_read_worker = lib.function("neap_read_worker")
_Stats = lib.struct("neap_stats")
_Error = lib.struct("neap_error")


@dataclasses.dataclass(frozen=True)
class WorkerStats:
    """Counters of one worker; times in seconds."""

    items: int
    bytes: int
    busy: float  #: computing
    idle: float  #: waiting for work
    restarts: int
    pid: Optional[int]  #: None: it does not run


@dataclasses.dataclass(frozen=True)
class Stats:
    """Counters of a loader; times in seconds."""

    items: int  #: computed
    bytes: int  #: of slots that were filled
    busy: float  #: computing, all workers
    idle: float  #: waiting for work, all workers
    wait: float  #: reads of the loader waiting for items
    restarts: int  #: workers that were replaced
    retries: int  #: runs computed again, since their worker died
    held: int  #: slots that tensors hold
    held_max: int  #: that they may hold
    workers: tuple[WorkerStats, ...]

    def __str__(self) -> str:
        lines = [
            f"{self.items:,} items, {self.bytes / 1e6:,.1f} MB,"
            f" {len(self.workers)} workers; waited {self.wait:.2f} s",
            f"{self.held} of {self.held_max} slots held; {self.restarts}"
            f" restarts, {self.retries} retries"]
        for k, one in enumerate(self.workers):
            state = f"pid {one.pid}" if one.pid else "ended"
            lines.append(
                f"worker {k}: {one.items:,} items, busy {one.busy:.2f} s, idle"
                f" {one.idle:.2f} s, {state}")
        return "\n".join(lines)


def _read_one(loader: int, worker: int) -> WorkerStats:
    out, error = _Stats(), _Error()
    rc = _read_worker(loader, worker, ctypes.byref(out), ctypes.byref(error))
    if rc != 0:
        fail(rc, error)
    return WorkerStats(
        items=out.items, bytes=out.bytes, busy=out.busy_ns / 1e9,
        idle=out.idle_ns / 1e9, restarts=out.restarts, pid=out.pid or None)


def read(loader: int) -> Stats:
    out, error = _Stats(), _Error()
    rc = _read_stats(loader, ctypes.byref(out), ctypes.byref(error))
    if rc != 0:
        fail(rc, error)
    return Stats(
        items=out.items, bytes=out.bytes, busy=out.busy_ns / 1e9,
        idle=out.idle_ns / 1e9, wait=out.consumer_wait_ns / 1e9,
        restarts=out.restarts, retries=out.retries, held=out.held,
        held_max=out.held_max,
        workers=tuple(_read_one(loader, k) for k in range(out.workers)))
