# SPDX-License-Identifier: MIT
"""Errors of neap as exceptions."""

from __future__ import annotations

import ctypes
from typing import Any, NoReturn, Optional

from ._library import lib

_status_name = lib.function("neap_status_name")
_item_error = lib.function("neap_item_error")
_item_index = lib.function("neap_item_index")
_item_epoch = lib.function("neap_item_epoch")
_Failure = lib.struct("neap_failure")

AGAIN = lib.constant("NEAP_AGAIN")
END = lib.constant("NEAP_END")
ECLOSED = lib.constant("NEAP_ECLOSED")
EHELD = lib.constant("NEAP_EHELD")
EINVAL = lib.constant("NEAP_EINVAL")


class Error(Exception):
    """What neap could not do.

    status   the name that neap.h has for it, such as "NEAP_EBUILD"
    kind     a word for the cause: "build", "invalid", "worker", "held",
             "closed", "system", "memory", "timeout"; ItemError has more
    message  the text, without the lines that say where
    """

    status: str = "NEAP_EINVAL"
    kind: str = "invalid"
    message: str = ""
    index: Optional[int] = None
    stage: Optional[str] = None
    worker: Optional[int] = None
    traceback: Optional[str] = None


class InvalidError(Error, ValueError):
    """An unknown parameter, or a value that a parameter or option may not
    have."""


class ItemError(Error):
    """One item failed; the loop can go on with the item after it.

    kind         "item" (a function of the chain raised), "death" (workers died
                 of it), "timeout", "memory", "room" (larger than a slot), "end"
                 (an iterator ended early), or "damaged"
    index        of the item, from 0; epoch
    message      what was raised
    stage        that failed: "map at train.lua:12"; stage_index in it
    outer_stage  through which the error passed; outer_index in it
    worker       that reported it, from 0
    traceback    of Lua
    What is not known is None.
    """

    epoch: Optional[int] = None
    stage_index: Optional[int] = None
    outer_stage: Optional[str] = None
    outer_index: Optional[int] = None


def _kind_of(status: str) -> str:
    return "invalid" if status == "NEAP_EINVAL" else status[6:].lower()


def _fill(error: Error, status: int, text: str) -> Error:
    error.status = _status_name(status).decode()
    error.kind = _kind_of(error.status)
    error.message = text
    return error


def _text(value: Optional[bytes]) -> Optional[str]:
    return None if value is None else value.decode(errors="replace")


def _count(value: int) -> Optional[int]:
    return None if value < 0 else value


def busy() -> RuntimeError:
    return RuntimeError(
        "cannot read: an item of this loader is being read, and this is a"
        " signal handler or a finalizer that has come in between\n"
        "help: let it set a flag, and read when the loop comes to it")


def closed(what: str) -> Error:
    text = f"cannot {what}: the loader is closed"
    return _fill(Error(text), ECLOSED, text)


def fail(status: int, error: Any) -> NoReturn:
    """Raises what a function returned, with its neap_error."""
    text = error.text.decode(errors="replace")
    kind = InvalidError if status == EINVAL else Error
    raise _fill(kind(text), status, text)


def fail_item(status: int, error: Any, item: int) -> NoReturn:
    """Raises why an item failed. The caller releases the item."""
    about = _Failure()
    _item_error(item, ctypes.byref(about))
    e = ItemError(error.text.decode(errors="replace"))
    _fill(e, status, _text(about.message) or "")
    e.kind = _text(about.kind) or e.kind
    e.index, e.epoch = _item_index(item), _item_epoch(item)
    e.stage, e.stage_index = _text(about.stage), _count(about.index)
    e.outer_stage = _text(about.outer_stage)
    e.outer_index = _count(about.outer_index)
    e.worker, e.traceback = _count(about.worker), _text(about.traceback)
    raise e
