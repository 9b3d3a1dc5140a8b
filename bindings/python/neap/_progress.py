# SPDX-License-Identifier: MIT
"""A progress bar: a line on stderr if that is a terminal, an output in
Jupyter, nothing elsewhere."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Callable, Iterable, Iterator, Optional, TypeVar

REDRAW_S = 0.1
BAR_WIDTH = 30

T = TypeVar("T")


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{start}:{seconds:02}"


def _line(label: str, done: int, length: Optional[int], first: int,
          seconds: float) -> str:
    """`first` items were done when the clock started."""
    rate = (done - first) / max(seconds, 1e-9)
    speed = f"{rate:.1f}/s" if rate < 1000 else f"{rate / 1000:.1f}k/s"
    start = f"{label} " if label else ""
    if length is None:
        return f"{start}{done} {speed}, {_clock(seconds)}"
    filled = BAR_WIDTH * done // length if length else BAR_WIDTH
    left = _clock((length - done) / rate) if rate else "-:--"
    return (f"{start}{100 * done // (length or 1):3}%"
            f" [{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done}/{length}"
            f" {speed}, {_clock(seconds)}, {left} left")


def _show_on_terminal(line: str) -> None:
    columns = os.get_terminal_size(sys.stderr.fileno()).columns
    sys.stderr.write("\r" + line[:columns].ljust(columns))
    sys.stderr.flush()


def _in_jupyter() -> Optional[Callable[[str], None]]:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display  # type: ignore[import]
    handle = display({"text/plain": ""}, raw=True, display_id=True)

    def show(line: str) -> None:
        handle.update({"text/plain": line}, raw=True)

    return show


def _shower() -> Optional[Callable[[str], None]]:
    if sys.stderr is not None and sys.stderr.isatty():
        return _show_on_terminal
    return _in_jupyter()


def _length(items: Any) -> Optional[int]:
    try:
        return len(items)
    except TypeError:  # endless, or no sequence
        return None


def progress(items: Iterable[T], label: str = "") -> Iterator[T]:
    """Iterates over a loader, or anything else, and shows how far it is:
    for item in neap.progress(loader.epoch(2), "epoch 2")."""
    show = _shower()
    if show is None:
        yield from items
        return
    iterator, length = iter(items), _length(items)
    done = first = getattr(items, "position", 0)
    start = time.monotonic()
    due = start
    try:
        for item in iterator:
            now = time.monotonic()
            if now >= due:
                show(_line(label, done, length, first, now - start))
                due = now + REDRAW_S
            yield item
            done += 1
    finally:
        show(_line(label, done, length, first, time.monotonic() - start))
        if show is _show_on_terminal:
            sys.stderr.write("\n")
