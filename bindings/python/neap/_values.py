# SPDX-License-Identifier: MIT
"""Reads items as Python values.

    nil      None               string   bytes; str where `text` says so
    boolean  bool               tensor   neap.Tensor
    number   int if it is whole, else float
    int64, uint64  int          table    list, or dict if it has other keys
"""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Collection, Union

from ._errors import fail
from ._library import lib
from ._tensor import Item, Tensor

_item_value = lib.function("neap_item_value")
_type = lib.function("neap_value_type")
_boolean = lib.function("neap_value_boolean")
_number = lib.function("neap_value_number")
_integer = lib.function("neap_value_integer")
_unsigned = lib.function("neap_value_unsigned")
_string = lib.function("neap_value_string")
_count = lib.function("neap_value_count")
_at = lib.function("neap_value_at")
_pair = lib.function("neap_value_pair")

_NUMBER = lib.constant("NEAP_NUMBER")
_TENSOR = lib.constant("NEAP_TENSOR")
_STRING = lib.constant("NEAP_STRING")
_Value = lib.struct("neap_value")
_NONE = Item()
Text = Union[bool, Collection[str]]


class _Place:
    """Memory for the values of one level of nested tables."""

    __slots__ = ("at", "key_at")

    def __init__(self) -> None:
        self.at, self.key_at = ctypes.byref(_Value()), ctypes.byref(_Value())

    def give_away(self) -> Any:
        """The value, which the caller may keep."""
        at, self.at = self.at, ctypes.byref(_Value())
        return at


class Reader:
    """Reads the items of one loader: one thread at a time."""

    def __init__(self, text: Text, error: Any) -> None:
        self._text = text if isinstance(text, bool) else frozenset(text)
        self._error, self._error_at = error, ctypes.byref(error)
        self._place = _Place()
        self._places = [self._place]
        self._item = _NONE  # that is read
        self._double = ctypes.c_double()
        self._double_at = ctypes.byref(self._double)
        self._list_count = ctypes.c_uint32()
        self._pair_count = ctypes.c_uint32()
        self._chars, self._bytes = ctypes.c_void_p(), ctypes.c_size_t()

    def read(self, handle: Any) -> Any:
        """The value of an item, which is released with the last of its tensors.
        """
        place = self._place
        at = place.at
        item = Item(handle)
        rc = _item_value(item, at, self._error_at)
        if rc != 0:
            fail(rc, self._error)
        kind = _type(at)
        if kind == _TENSOR:
            return Tensor(item, place.give_away())
        self._item = item
        try:
            return _READ[kind](self, place, 0, None)
        finally:
            self._item = _NONE

    def _check(self, rc: int) -> None:
        if rc != 0:
            fail(rc, self._error)

    def _scalar(self, call: Any, at: Any, out: Any) -> int:
        self._check(call(at, ctypes.byref(out), self._error_at))
        number: int = out.value
        return number

    def _read_nil(self, place: _Place, depth: int, name: Any) -> None:
        return None

    def _read_boolean(self, place: _Place, depth: int, name: Any) -> bool:
        return bool(self._scalar(_boolean, place.at, ctypes.c_int()))

    def _read_int64(self, place: _Place, depth: int, name: Any) -> int:
        return self._scalar(_integer, place.at, ctypes.c_int64())

    def _read_uint64(self, place: _Place, depth: int, name: Any) -> int:
        return self._scalar(_unsigned, place.at, ctypes.c_uint64())

    def _read_number(self, place: _Place, depth: int, name: Any) -> Any:
        rc = _number(place.at, self._double_at, self._error_at)
        if rc != 0:
            fail(rc, self._error)
        number = self._double.value
        return int(number) if number.is_integer() else number

    def _bytes_of(self, at: Any) -> bytes:
        self._check(_string(at, ctypes.byref(self._chars),
                            ctypes.byref(self._bytes), self._error_at))
        return ctypes.string_at(self._chars, self._bytes.value)

    def _read_string(self, place: _Place, depth: int, name: Any) -> Any:
        found, text = self._bytes_of(place.at), self._text
        if text is True or text and name in text:  # type: ignore[operator]
            return found.decode("utf-8", "surrogateescape")
        return found

    def _read_tensor(self, place: _Place, depth: int, name: Any) -> Tensor:
        return Tensor(self._item, place.give_away())

    def _read_table(self, place: _Place, depth: int, name: Any) -> Any:
        if depth + 1 == len(self._places):
            self._places.append(_Place())
        self._check(_count(place.at, ctypes.byref(self._list_count),
                           ctypes.byref(self._pair_count), self._error_at))
        pairs = self._pair_count.value
        found = self._read_list(place, depth + 1, name)
        if pairs == 0:
            return found
        table = {k + 1: value for k, value in enumerate(found)}
        self._read_pairs(place, depth + 1, pairs, table)
        return table

    def _read_list(self, place: _Place, depth: int, name: Any) -> list[Any]:
        inner, table, error = self._places[depth], place.at, self._error_at
        found = []
        for k in range(self._list_count.value):
            at = inner.at
            rc = _at(table, k, at, error)
            if rc != 0:
                fail(rc, self._error)
            found.append(_READ[_type(at)](self, inner, depth, name))
        return found

    def _read_pairs(self, place: _Place, depth: int, count: int,
                    into: dict[Any, Any]) -> None:
        inner, error = self._places[depth], self._error_at
        for k in range(count):
            self._check(_pair(place.at, k, inner.key_at, inner.at, error))
            key = self._read_key(inner)
            into[key] = _READ[_type(inner.at)](self, inner, depth, key)

    def _read_key(self, place: _Place) -> Any:
        kind = _type(place.key_at)
        if kind == _NUMBER:
            self._check(_number(place.key_at, self._double_at, self._error_at))
            number = self._double.value
            return int(number) if number.is_integer() else number
        if kind == _STRING:
            name = self._bytes_of(place.key_at)
            return name.decode("utf-8", "surrogateescape")
        return bool(self._scalar(_boolean, place.key_at, ctypes.c_int()))



# By the types of neap.h, NEAP_NIL to NEAP_TABLE.
_READ: tuple[Callable[[Reader, _Place, int, Any], Any], ...] = (
    Reader._read_nil, Reader._read_boolean, Reader._read_number,
    Reader._read_int64, Reader._read_uint64, Reader._read_string,
    Reader._read_tensor, Reader._read_table)
