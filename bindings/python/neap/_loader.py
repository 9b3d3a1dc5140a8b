# SPDX-License-Identifier: MIT
"""Loaders: a sequence and an iterable over what a loader file describes.

One thread at a time is in libneap for a loader: the others wait for its lock.
A read first asks without waiting, which keeps the GIL; a wait releases it, and
comes back now and then, so that Python handles signals (Ctrl-C).
"""

from __future__ import annotations

import ctypes
import gc
import operator
import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any, Iterator, Mapping, Optional, Union

from . import _stats
from ._errors import AGAIN, EHELD, END, busy, closed, fail, fail_item
from ._library import lib
from ._options import Options, read_parameters, texts
from ._tensor import sweep
from ._values import Reader, Text

_open = lib.function("neap_open", waits=True)
_close = lib.function("neap_close", waits=True)
_next = lib.function("neap_next", waits=True)
_try_next = lib.function("neap_try_next")
_get = lib.function("neap_get", waits=True)
_seek = lib.function("neap_seek", waits=True)
_epoch = lib.function("neap_epoch")
_position = lib.function("neap_position")
_length = lib.function("neap_length")
_parameters = lib.function("neap_parameters")
_fd = lib.function("neap_fd")
_release = lib.function("neap_item_release")
_Error = lib.struct("neap_error")

# After a read that had to wait, so many others do not try without waiting first.
WAITS = 8

# In a forked child, a lock may be that of a thread that is not there.
_loaders: weakref.WeakSet[Loader] = weakref.WeakSet()


def _renew_locks() -> None:
    for loader in list(_loaders):
        loader._lock = loader._opened.lock = threading.RLock()
        loader._is_reading = False


os.register_at_fork(after_in_child=_renew_locks)


class _Opened:
    """A loader of libneap, with the lock of who uses it."""

    def __init__(self, handle: int) -> None:
        self.handle, self.lock = handle, threading.RLock()
        self.is_closing = False  # a thread that waits for an item stops

    def close(self) -> None:
        self.is_closing = True
        with self.lock:
            _close(self.handle)

    def close_for_good(self) -> None:
        """When the loader is collected, or at exit. Then threads may use it:
        one that reads is left alone, and others wait for the lock, which is
        kept. The workers end with the process."""
        if self.lock.acquire(blocking=False):
            _close(self.handle)


# -- Opening ------------------------------------------------------------------


class _Opening:
    """Runs neap_open on a thread of its own, so that Ctrl-C ends the wait for
    a file that takes long."""

    def __init__(self, path: bytes, options: Options) -> None:
        self._path, self._options = path, options
        self.handle, self.error = ctypes.c_void_p(), _Error()
        self.rc = 0
        self._lock = threading.Lock()
        self._is_over = self._is_left = False

    def run(self) -> None:
        self.rc = _open(self._path, ctypes.byref(self._options.c),
                        ctypes.byref(self.handle), ctypes.byref(self.error))
        with self._lock:
            self._is_over = True
            if self._is_left:
                _close(self.handle)

    def wait(self) -> int:
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()
        try:
            thread.join()
        except BaseException:
            with self._lock:
                self._is_left = True
                if self._is_over:
                    _close(self.handle)
            raise
        if self.rc != 0:
            fail(self.rc, self.error)
        return self.handle.value or 0


def open(path: Union[str, os.PathLike[str]],
         parameters: Optional[Mapping[str, Any]] = None, *,
         text: Text = False, workers: Optional[int] = None,
         buffered: Optional[int] = None, concurrency: Optional[int] = None,
         chunk: Union[int, str, None] = None, order: Optional[bool] = None,
         retries: Optional[int] = None, timeout: Optional[float] = None,
         memory: Optional[int] = None, slot_bytes: Optional[int] = None,
         build_timeout: Optional[float] = None, **more: Any) -> Loader:
    """Opens a loader file.

    Arguments that are not named here are parameters of the file:
    neap.open("digits.lua", batch=64, workers=4). A parameter that has the name
    of an option is given in `parameters`.

    text           strings arrive as bytes; as str (UTF-8) with text=True, or
                   those of some fields with text=["path", "label"]
    workers        processes; negative: cores to leave free
    buffered       items computed ahead at most
    concurrency    items that a worker has in work at once, while they wait
    chunk          consecutive items of a run, or "auto"
    order          False: items in the order in which they are completed
    retries        of an item whose worker died
    timeout        seconds that one item may take; 0: any time
    memory         bytes that a worker may allocate; 0: any number
    slot_bytes     address space of a slot
    build_timeout  seconds that the file may take; unset: 60
    An option that is not given is what the file says.
    """
    options = {
        "workers": workers, "buffered": buffered,
        "concurrency": concurrency, "chunk": chunk,
        "order": order, "retries": retries, "timeout": timeout,
        "memory": memory, "slot_bytes": slot_bytes,
        "build_timeout": build_timeout}
    for name in more:
        if parameters is not None and name in parameters:
            raise TypeError(f"parameter '{name}' is given twice")
    return Loader(path, {**(parameters or {}), **more}, options, text)


# -- Loaders ------------------------------------------------------------------


class Loader(Sequence[Any]):
    """The items that a loader file describes. neap.open() makes it.

    A loop over it begins at the first item of the epoch, or where seek(),
    epoch() or load_state_dict() put it. Items are read ahead by workers.
    loader[i] reads aside: the loop does not move.
    """

    def __init__(self, path: Union[str, os.PathLike[str]],
                 parameters: Mapping[str, Any], options: Mapping[str, Any],
                 text: Text) -> None:
        self.path = os.fspath(path)
        if isinstance(text, str):
            raise TypeError("option 'text': True, False or a list of fields"
                            " expected, got str")
        opening = _Opening(
            os.fsencode(path), Options(options, texts(parameters)))
        self._handle = opening.wait()
        self._opened = _Opened(self._handle)
        self._lock = self._opened.lock
        self._closing = weakref.finalize(self, self._opened.close_for_good)
        self._error, self._item = _Error(), ctypes.c_void_p()
        self._error_at = ctypes.byref(self._error)
        self._item_at = ctypes.byref(self._item)
        self._reader = Reader(text, self._error)
        self._waits = 0  # reads that need not try first
        self._turn = 0  # of the loop that may read
        # Whether an item is being read. A signal handler or a finalizer that
        # reads then has the lock, too: they are on the same thread.
        self._is_reading = False
        self._is_placed = False  # the next loop begins at the position
        count = ctypes.c_int32()
        self.parameters = read_parameters(
            _parameters(self._handle, ctypes.byref(count)), count.value)
        _loaders.add(self)

    # -- Where it stands --

    def __len__(self) -> int:
        length = self._number(_length)
        if length < 0:
            raise TypeError(f"{self.path} is endless, so it has no len()")
        return length

    @property
    def position(self) -> int:
        """The index after the item that the loop read last."""
        return self._number(_position)

    @property
    def current_epoch(self) -> int:
        """The epoch that is read, from 1."""
        return self._number(_epoch)

    @property
    def closed(self) -> bool:
        return not self._closing.alive

    def _number(self, call: Any) -> int:
        number: int = call(self._handle)
        if number < -1:
            raise closed("read")
        return number

    def _check(self, rc: int) -> None:
        if rc < 0:
            fail(rc, self._error)

    # -- Reading --

    def _take(self, rc: int) -> Any:
        """The value of the item that a read handed out."""
        if rc == 0:
            return self._reader.read(self._item.value)
        item = self._item.value
        if item is None:
            fail(rc, self._error)
        try:
            fail_item(rc, self._error, item)
        finally:
            _release(item)

    def _wait(self, call: Any, *arguments: Any) -> int:
        """Calls a function until it says something but NEAP_AGAIN."""
        rc = AGAIN
        while rc == AGAIN and not self._opened.is_closing:
            rc = call(self._handle, *arguments, self._item_at, self._error_at)
        if rc == AGAIN:
            raise closed("read")
        return rc

    def _wait_or_collect(self, call: Any, *arguments: Any) -> int:
        rc = self._wait(call, *arguments)
        if rc == EHELD:  # tensors in cycles hold their slots
            gc.collect()
            sweep()
            rc = self._wait(call, *arguments)
        if rc == EHELD:
            self._error.text = self._held_text()
        return rc

    def _held_text(self) -> bytes:
        most = _stats.read(self._handle).held_max
        return (
            f"cannot read on: tensors hold all {most} slots that may be held\n"
            "help: copy what you keep (t.numpy().copy()), or raise buffered"
        ).encode()

    def _read_next(self, rc: int) -> Any:
        """After a read that did not wait, and returned rc."""
        if rc == AGAIN or rc == EHELD:
            self._waits = WAITS
            rc = self._wait_or_collect(_next)
        if rc == END:
            raise StopIteration
        self._is_placed = False
        return self._take(rc)

    def __iter__(self) -> Iterator[Any]:
        with self._lock:
            if self._is_reading:
                raise busy()
            if not self._is_placed:
                self._seek(self.current_epoch, 0)
            self._turn += 1
            return _Loop(self, self._turn)

    def __getitem__(self, index: Any) -> Any:
        """An item, or a list of items for a slice. -1 is the last item."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = wanted = operator.index(index)
        with self._lock:
            length = self._number(_length)
            if i < 0 <= length:
                i += length
            if i < 0 or 0 <= length <= i:
                raise IndexError(
                    f"index {wanted} is out of range: {self.path} has"
                    f" {length if length >= 0 else 'endless'} items")
            if self._is_reading:
                raise busy()
            self._is_reading = True
            try:
                return self._take(self._wait_or_collect(_get, i))
            finally:
                self._is_reading = False

    # -- Moving --

    def _seek(self, epoch: int, index: int) -> None:
        self._check(_seek(self._handle, epoch, index, self._error_at))

    def seek(self, index: int) -> None:
        """Goes on with item `index` of the epoch, in the loop that runs or in
        the next one. The length is the end; negative indexes count from it."""
        index = operator.index(index)
        with self._lock:
            length = self._number(_length)
            self._place(self.current_epoch,
                        index + length if index < 0 <= length else index)

    def epoch(self, number: int) -> Loader:
        """Goes to the start of an epoch, in which shuffles and random numbers
        are drawn anew: for item in loader.epoch(2). Epochs count from 1."""
        with self._lock:
            self._place(operator.index(number), 0)
        return self

    def _place(self, epoch: int, index: int) -> None:
        if self._is_reading:
            raise busy()
        self._seek(epoch, index)
        self._is_placed = True

    def state_dict(self) -> dict[str, Any]:
        """Where the loop stands, for load_state_dict(), now or in another
        process: {"epoch":, "position":, "parameters":}."""
        with self._lock:
            return {"epoch": self.current_epoch, "position": self.position,
                    "parameters": dict(self.parameters)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where state_dict() was called. The parameters must be those
        of this loader."""
        theirs = texts(state["parameters"])
        differing = sorted(
            name for name in {*theirs, *self.parameters}
            if theirs.get(name) != self.parameters.get(name))
        if differing:
            name = differing[0]
            raise ValueError(
                f"cannot load the state: parameter '{name}' is"
                f" {theirs.get(name)} there, {self.parameters.get(name)} here\n"
                "help: open the loader with the state's parameters:"
                " neap.open(path, state['parameters'])")
        with self._lock:
            self._place(state["epoch"], state["position"])

    # -- The rest --

    def stats(self) -> _stats.Stats:
        """Counters: what was computed, and who waited how long."""
        sweep()
        with self._lock:
            return _stats.read(self._handle)

    def fileno(self) -> int:
        """A descriptor for select, poll and asyncio: readable while the next
        read will not wait. (Now and then it is readable in vain.)"""
        fd = ctypes.c_int()
        with self._lock:
            self._check(_fd(self._handle, ctypes.byref(fd), self._error_at))
        return fd.value

    def close(self) -> None:
        """Ends the workers. Tensors stay as they are. Twice is fine. A thread
        that waits for an item gets an Error of kind "closed"."""
        self._closing.detach()
        self._opened.close()
        sweep()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        given = "".join(f", {k}={v!r}" for k, v in self.parameters.items())
        state = " (closed)" if self.closed else ""
        return f"<neap.Loader {self.path!r}{given}{state}>"

    def __reduce__(self) -> Any:
        raise TypeError(
            "cannot pickle a neap.Loader: its workers belong to this process\n"
            "help: open the file again in the other process")


class _Loop:
    """An iterator. After an ItemError it goes on with the next item."""

    __slots__ = ("_loader", "_turn")

    def __init__(self, loader: Loader, turn: int) -> None:
        self._loader, self._turn = loader, turn

    def __iter__(self) -> _Loop:
        return self

    def __next__(self) -> Any:
        loader = self._loader
        with loader._lock:
            if self._turn != loader._turn:
                raise RuntimeError(
                    "cannot go on with this loop: a later loop over the loader"
                    " has begun\nhelp: open the loader twice")
            if loader._is_reading:
                raise busy()
            loader._is_reading = True
            try:
                if loader._waits:
                    loader._waits -= 1
                    call = _next
                else:
                    call = _try_next
                rc = call(loader._handle, loader._item_at, loader._error_at)
                if rc == 0:
                    loader._is_placed = False
                    return loader._reader.read(loader._item.value)
                return loader._read_next(rc)
            finally:
                loader._is_reading = False
