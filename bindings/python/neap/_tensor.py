# SPDX-License-Identifier: MIT
"""Tensors: memory of a slot, which numpy, torch and jax use without a copy.

A slot is held for as long as a tensor, or an array made of one, is alive; what
holds it is an Item, or the managed tensor that another library took.
"""

from __future__ import annotations

import ctypes
import math
import sys
from typing import Any, Optional

from ._errors import fail
from ._library import lib

_release = lib.function("neap_item_release")
_read = lib.function("neap_value_tensor")
_lend = lib.function("neap_item_dlpack")
_Error = lib.struct("neap_error")
_View = lib.struct("neap_view")
_Managed = lib.struct("neap_managed_tensor")


class Item(int):
    """The address of an item, which is released when this is collected."""

    def __del__(self, _release: Any = _release) -> None:
        _release(self)


# -- Dtypes -------------------------------------------------------------------

# (code of DLPack, bits) -> name of neap, typestr of numpy.
_DTYPES: dict[tuple[int, int], tuple[str, Optional[str]]] = {
    (lib.constant("NEAP_BFLOAT"), 16): ("bf16", None),
    (lib.constant("NEAP_BOOL"), 8): ("bool", "|b1"),
}
for _code, _letter, _sizes in (
        ("NEAP_INT", "i", (8, 16, 32, 64)), ("NEAP_UINT", "u", (8, 16, 32, 64)),
        ("NEAP_FLOAT", "f", (16, 32, 64))):
    for _bits in _sizes:
        _DTYPES[lib.constant(_code), _bits] = (
            f"{_letter}{_bits}",
            f"{'<' if _bits > 8 else '|'}{_letter}{_bits // 8}")


# -- DLPack -------------------------------------------------------------------

# Without argtypes, which would take longer than the calls.
_NAME = ctypes.c_char_p(b"dltensor")
_new_capsule = ctypes.pythonapi["PyCapsule_New"]
_new_capsule.restype = ctypes.py_object
_is_valid = ctypes.pythonapi["PyCapsule_IsValid"]
_object = ctypes.py_object

# Capsules that may not have been taken, with their managed tensors. A capsule
# has no destructor: one in Python would run while the interpreter unwinds an
# exception, or after it has ended. So those that nobody took, and nobody holds,
# are freed when LENT_MAX more have been made.
LENT_MAX = 8
_lent: list[tuple[Any, Any]] = []
_pair = (object(), None)
_alone = sys.getrefcount(_pair[0])


def sweep() -> None:
    """Frees the capsules that nobody took, and nobody holds."""
    for _ in range(len(_lent)):
        try:
            pair = _lent.pop()
        except IndexError:  # another thread sweeps
            return
        if not _is_valid(_object(pair[0]), _NAME):
            continue  # taken, and renamed
        if sys.getrefcount(pair[0]) > _alone:
            _lent.insert(0, pair)
        else:
            managed = pair[1].value
            _Managed.from_address(managed).deleter(managed)


def _make_capsule(item: Item, value_at: Any) -> Any:
    managed = ctypes.c_void_p()
    out = ctypes.byref(managed)
    if _lend(item, value_at, out, None) != 0:
        error = _Error()
        rc = _lend(item, value_at, out, ctypes.byref(error))
        if rc != 0:
            fail(rc, error)
    if len(_lent) >= LENT_MAX:
        sweep()
    capsule = _new_capsule(managed, _NAME, None)
    _lent.append((capsule, managed))
    return capsule


# -- Tensors ------------------------------------------------------------------


class Tensor:
    """A tensor in a slot: contiguous, in C order, on the CPU, to be read only.

    Arrays share its memory: numpy.asarray(t), numpy.from_dlpack(t), t.numpy(),
    torch.from_dlpack(t), jax.dlpack.from_dlpack(t). The memory stays as it is
    while the tensor or such an array is alive, also after the loader is closed.
    """

    __slots__ = ("_item", "_value_at", "_known", "__weakref__")

    def __init__(self, item: Item, value_at: Any) -> None:
        """value_at refers to a neap_value that nobody else writes."""
        self._item = item
        self._value_at = value_at
        self._known: Optional[tuple[int, tuple[int, ...], tuple[
            str, Optional[str]]]] = None

    def _look(self) -> tuple[int, tuple[int, ...], tuple[str, Optional[str]]]:
        """Address, shape and dtype. DLPack does without."""
        known = self._known
        if known is None:
            view, error = _View(), _Error()
            rc = _read(self._value_at, ctypes.byref(view), ctypes.byref(error))
            if rc != 0:
                fail(rc, error)
            tensor = view.tensor
            known = self._known = (
                tensor.data or 0, tuple(view.shape[:tensor.ndim]),
                _DTYPES[tensor.code, tensor.bits])
        return known

    @property
    def dtype(self) -> str:
        """ "f32", "u8", "bf16", "bool", ..."""
        return self._look()[2][0]

    @property
    def shape(self) -> tuple[int, ...]:
        return self._look()[1]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        bits = 8 if self.dtype == "bool" else int(self.dtype.lstrip("biuf"))
        return self.size * bits // 8

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without dimensions")
        return self.shape[0]

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape)) or "scalar"
        return f"<neap.Tensor {self.dtype} {shape}>"

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # kDLCPU

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None,
                   dl_device: Any = None, copy: Optional[bool] = None) -> Any:
        if dl_device not in (None, (1, 0)):
            raise BufferError(
                f"cannot lend a tensor to device {dl_device}: it is in the"
                " memory of the CPU, (1, 0)")
        if copy:
            raise BufferError(
                "cannot lend a copy of a tensor\nhelp: copy the array")
        return _make_capsule(self._item, self._value_at)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        address, shape, (name, typestr) = self._look()
        if typestr is None:
            raise AttributeError(f"numpy has no {name}")
        return {"version": 3, "shape": shape, "typestr": typestr,
                "data": (address, True)}

    def numpy(self) -> Any:
        """An array of numpy over the same memory, to be read only."""
        import numpy
        if self._look()[2][1] is None:
            raise TypeError(
                f"cannot make an array of a {self.dtype} tensor: numpy has no"
                f" {self.dtype}\nhelp: torch.from_dlpack(t), or :to('f32') in"
                " the loader file")
        return numpy.asarray(self)

    def tobytes(self) -> bytes:
        """A copy of its elements, in the machine's byte order."""
        return ctypes.string_at(self._look()[0], self.nbytes)

    def __reduce__(self) -> Any:
        raise TypeError(
            "cannot pickle a neap.Tensor: its memory belongs to a slot\n"
            "help: pickle t.numpy().copy()")
