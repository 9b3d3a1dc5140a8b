# SPDX-License-Identifier: MIT
"""Finds libneap, and declares it to ctypes from the library's own header.

The library hands out its declarations as text (neap_cdef), so no struct and no
prototype is written twice: this module reads the few forms of C in it.
"""

from __future__ import annotations

import ctypes
import os
import pathlib
import re
from typing import Any, Iterator

NAMES = ("libneap.so.0", "libneap.so")

_TYPES = {
    "char": ctypes.c_char, "int": ctypes.c_int, "float": ctypes.c_float,
    "double": ctypes.c_double, "size_t": ctypes.c_size_t,
    "int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64,
    "uint8_t": ctypes.c_uint8, "uint16_t": ctypes.c_uint16,
    "uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64,
}


class Library:
    """libneap, its functions, structs and constants by their names in C."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._short = ctypes.PyDLL(path)  # keeps the GIL: for calls of no time
        self._long = ctypes.CDLL(path)
        self._structs: dict[str, type[ctypes.Structure]] = {}
        cdef = self._short.neap_cdef
        cdef.restype = ctypes.c_char_p
        self._text = cdef().decode()

    def _find(self, pattern: str) -> re.Match[str]:
        found = re.search(pattern, self._text, re.DOTALL)
        if found is None:
            raise ImportError(
                f"cannot use {self.path}: this module needs a declaration that"
                f" it does not have: {pattern}\n"
                "help: install the neap module of the same version")
        return found

    def constant(self, name: str) -> int:
        """The value of an enum's name, which is a sum of numbers."""
        terms = self._find(rf"\b{name} = ([^,}}]+)")[1].replace(" ", "")
        return sum(int(term) for term in re.findall(r"[+-]?\d+", terms))

    def struct(self, name: str) -> type[ctypes.Structure]:
        """The struct of that name."""
        if name not in self._structs:
            text = self._find(rf"typedef struct {name} {{(.*?)\n}} {name};")[1]
            fields = [self._field(line) for line in text.split(";")[:-1]]
            self._structs[name] = type(
                name, (ctypes.Structure,), {"_fields_": fields})
        return self._structs[name]

    def _field(self, line: str) -> tuple[str, Any]:
        if "(*" in line:  # a function that takes a pointer
            return (re.search(r"\(\*(\w+)\)", line)[1],  # type: ignore[index]
                    ctypes.CFUNCTYPE(None, ctypes.c_void_p))
        of, name, count = re.fullmatch(  # type: ignore[union-attr]
            r"\s*(.*?)(\w+)(?:\[(\d+)\])?", line, re.DOTALL).groups()
        kind = self._type(of)
        return name, kind * int(count) if count else kind

    def _type(self, text: str) -> Any:
        words = text.replace("const", "").split()
        if "".join(words) == "char*":
            return ctypes.c_char_p
        if "*" in text:
            return ctypes.c_void_p
        name = words[0]
        return _TYPES[name] if name in _TYPES else self.struct(name)

    def function(self, name: str, waits: bool = False) -> Any:
        """The function of that name. Other threads run while it waits."""
        result, arguments = self._find(
            rf"([^;}}]*?)\b{name}\(([^;]*?)\);").groups()
        call = (self._long if waits else self._short)[name]
        call.restype = None if result.strip() == "void" else self._type(result)
        call.argtypes = [
            self._type(re.sub(r"\w+$", "", argument))
            for argument in arguments.split(",") if argument.strip() != "void"]
        return call


# -- Finding ------------------------------------------------------------------


def _places() -> Iterator[str]:
    """Beside this package; in the build tree that it is in; where it is
    installed with neap; then wherever the system looks."""
    here = pathlib.Path(__file__).resolve().parent
    for name in NAMES:
        yield str(here / name)
    for folder in here.parents:
        for name in NAMES:
            if (folder / "premake5.lua").exists():
                yield str(folder / "build" / "lib" / name)
            yield str(folder / name)
            yield str(folder / "lib" / name)
    yield from NAMES


def _open(path: str) -> Library:
    try:
        return Library(path)
    except OSError as error:
        raise ImportError(f"cannot load libneap: {error}") from None
    except AttributeError:
        raise ImportError(
            f"cannot load libneap: {path} is another library") from None


def load() -> Library:
    """Loads libneap: NEAP_LIBRARY of the environment, or the first found."""
    given = os.environ.get("NEAP_LIBRARY")
    if given:
        return _open(given)
    for path in _places():
        if "/" in path and os.path.exists(path):
            return _open(path)
    for name in NAMES:
        try:
            return Library(name)
        except OSError:
            continue
    raise ImportError(
        "cannot find libneap.so, neither beside the neap module nor where the"
        " system looks\n"
        "help: install neap, or set NEAP_LIBRARY to the path of libneap.so")


lib = load()
