# SPDX-License-Identifier: MIT
"""What neap.open takes, as libneap wants it: options, and texts of
parameters."""

from __future__ import annotations

import ctypes
import operator
import os
from typing import Any, Mapping, Optional

from ._library import lib

_init = lib.function("neap_options_init")
_abi = lib.function("neap_abi")
_Options = lib.struct("neap_options")
_Parameter = lib.struct("neap_parameter")

# How long Python waits in libneap before it looks for signals again. (A signal
# ends the wait at once, but for one that comes just before it begins.)
WAIT_NS = 100_000_000


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, (list, tuple)):
        texts = [_text(name, one) for one in value]
        return ",".join(
            one.replace("\\", "\\\\").replace(",", "\\,") for one in texts)
    if hasattr(value, "item"):  # a scalar of numpy
        return _text(name, value.item())
    if isinstance(value, (int, float)):
        return repr(value)
    raise TypeError(
        f"parameter '{name}': a number, str, bool, path or list of them"
        f" expected, got {type(value).__name__}")


def texts(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The texts of parameters, as on the command line."""
    found = {name: _text(name, value) for name, value in parameters.items()}
    for name, text in found.items():
        if "\0" in name or "\0" in text:
            raise ValueError(f"parameter {name!r}: it contains a NUL")
    return found


def _integer(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"option '{name}': an integer expected, got"
            f" {type(value).__name__}") from None


def _nanoseconds(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(
            f"option '{name}': seconds expected, got {type(value).__name__}")
    return int(float(value) * 1e9)


def _chunk(name: str, value: Any) -> int:
    return 0 if value == "auto" else _integer(name, value)


# Name in Python -> field of neap_options, and what makes its value.
_FIELDS = {
    "workers": ("workers", _integer), "buffered": ("buffered", _integer),
    "concurrency": ("concurrency", _integer),
    "chunk": ("chunk", _chunk), "order": ("ordered", _integer),
    "retries": ("retries", _integer), "timeout": ("timeout_ns", _nanoseconds),
    "memory": ("memory_bytes", _integer),
    "slot_bytes": ("slot_bytes", _integer),
    "build_timeout": ("build_timeout_ns", _nanoseconds),
}


class Options:
    """A neap_options, with the memory that it points to."""

    def __init__(self, options: Mapping[str, Any],
                 parameters: Mapping[str, str]) -> None:
        self.c = _Options()
        _init(ctypes.byref(self.c), _abi(), ctypes.sizeof(_Options))
        self.c.wait_ns = WAIT_NS
        for name, value in options.items():
            if value is not None:
                self._set(name, value)
        self._parameters = (_Parameter * len(parameters))(*(
            _Parameter(os.fsencode(name), os.fsencode(text))
            for name, text in parameters.items()))
        self.c.parameters = ctypes.addressof(self._parameters)
        self.c.parameter_count = len(parameters)

    def _set(self, name: str, value: Any) -> None:
        field, convert = _FIELDS[name]
        number = convert(name, value)
        bits = 8 * getattr(_Options, field).size - 1
        if not -(1 << bits) < number < 1 << bits:
            raise ValueError(f"option '{name}': {value} is out of range")
        setattr(self.c, field, number)


def read_parameters(pointer: Optional[int], count: int) -> dict[str, str]:
    """A list of neap_parameter as a dict."""
    if not pointer:
        return {}
    found = (_Parameter * count).from_address(pointer)
    return {os.fsdecode(p.name): os.fsdecode(p.text) for p in found}
