# SPDX-License-Identifier: MIT
"""Tensors in numpy, and what else takes them, without a copy."""

import gc
import importlib.util
import pickle
import threading
import unittest

import numpy as np

import neap
from scene import Case

FILLED = """
    return neap.loader{
      params = {count = 300, side = 40},
      build = function(p)
        return neap.range(p.count):map(function(i)
          local t = neap.tensor("f32", {3, p.side, p.side})
          t:fill(i)
          return t
        end)
      end,
      prefetch = {workers = 2, buffered = 8},
    }"""


def is_in_slots(address):
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            first, last = (int(x, 16) for x in line.split()[0].split("-"))
            if first <= address < last:
                return "neap-slots" in line
    return False


def address_of(array):
    return array.__array_interface__["data"][0]


class InNumpy(Case):
    def test_is_not_copied(self):
        tensor = self.open(FILLED)[4]
        self.assertEqual((tensor.dtype, tensor.shape), ("f32", (3, 40, 40)))
        self.assertEqual((tensor.ndim, len(tensor)), (3, 3))
        self.assertEqual((tensor.size, tensor.nbytes), (4800, 19200))
        self.assertEqual(repr(tensor), "<neap.Tensor f32 3x40x40>")
        arrays = [np.from_dlpack(tensor), np.asarray(tensor), tensor.numpy()]
        for array in arrays:
            self.assertTrue(is_in_slots(address_of(array)))
            self.assertEqual(address_of(array), address_of(arrays[0]))
            self.assertEqual(address_of(array) % 64, 0)
            self.assertEqual(array.shape, (3, 40, 40))
            self.assertEqual(array.dtype, np.float32)
            self.assertTrue((array == 5).all())

    def test_is_read_only(self):
        tensor = self.open(FILLED)[0]
        for array in np.from_dlpack(tensor), np.asarray(tensor):
            with self.assertRaises(ValueError):
                array[0] = 1

    def test_stays_intact_while_a_loop_goes_on(self):
        kept = []
        for i, tensor in enumerate(self.open(FILLED)):
            if i % 20 == 0:
                kept.append((i + 1, np.from_dlpack(tensor)))
            elif i % 20 == 10:
                kept.append((i + 1, np.asarray(tensor)))
        for value, array in kept:
            self.assertTrue((array == value).all())

    def test_stays_intact_after_close(self):
        loader = self.open(FILLED)
        one, other = np.from_dlpack(loader[6]), loader[7].numpy()
        loader.close()
        del loader
        gc.collect()
        self.assertTrue(is_in_slots(address_of(one)))
        self.assertTrue((one == 7).all() and (other == 8).all())
        del one, other
        gc.collect()

    def test_gives_slots_back(self):
        loader = self.open(FILLED)
        for tensor in loader:
            arrays = [np.from_dlpack(tensor) for _ in range(3)]
        self.assertEqual(loader.stats().held, 1)
        del tensor
        self.assertEqual(loader.stats().held, 1)
        del arrays
        self.assertEqual(loader.stats().held, 0)

    def test_gives_back_from_another_thread(self):
        loader = self.open(FILLED)
        arrays = [np.from_dlpack(loader[i]) for i in range(8)]
        thread = threading.Thread(target=arrays.clear)
        thread.start()
        thread.join()
        self.assertEqual(loader.stats().held, 0)

    def test_every_dtype(self):
        names = {"u8": np.uint8, "i8": np.int8, "i16": np.int16,
                 "u16": np.uint16, "i32": np.int32, "u32": np.uint32,
                 "i64": np.int64, "u64": np.uint64, "f16": np.float16,
                 "f32": np.float32, "f64": np.float64}
        loader = self.values(
            [f"neap.tensor('{name}', {{2}}, {{1, 7}})" for name in names])
        for tensor, (name, dtype) in zip(loader, names.items()):
            self.assertEqual(tensor.dtype, name)
            self.assertEqual(tensor.nbytes, 2 * np.dtype(dtype).itemsize)
            for array in np.from_dlpack(tensor), tensor.numpy():
                self.assertEqual(array.dtype, dtype)
                self.assertEqual(array.tolist(), [1, 7])

    def test_bool(self):
        tensor = self.values(["neap.tensor('bool', {2}, {true, false})"])[0]
        self.assertEqual(tensor.numpy().tolist(), [True, False])
        self.assertEqual(tensor.numpy().dtype, np.bool_)

    def test_bf16_has_dlpack_alone(self):
        tensor = self.values(["neap.tensor('bf16', {2}, {1, 2})"])[0]
        self.assertEqual(tensor.tobytes(), b"\x80\x3f\x00\x40")
        self.assertFalse(hasattr(tensor, "__array_interface__"))
        with self.assertRaisesRegex(TypeError, "numpy has no bf16"):
            tensor.numpy()
        with self.assertRaises((RuntimeError, BufferError, TypeError)):
            np.from_dlpack(tensor)
        self.assertIn("dltensor", repr(tensor.__dlpack__()))

    def test_shapes(self):
        loader = self.values(["neap.tensor('f64', {}, 5)",
                              "neap.tensor('f64', {0, 3})"])
        self.assertEqual(loader[0].numpy().shape, ())
        self.assertEqual(float(loader[0].numpy()), 5)
        self.assertEqual(loader[1].numpy().shape, (0, 3))
        with self.assertRaises(TypeError):
            len(loader[0])

    def test_is_not_pickled(self):
        with self.assertRaisesRegex(TypeError, "numpy"):
            pickle.dumps(self.open(FILLED)[0])


class InDlpack(Case):
    def test_refuses_what_it_cannot(self):
        tensor = self.open(FILLED)[0]
        self.assertEqual(tensor.__dlpack_device__(), (1, 0))
        with self.assertRaises(BufferError):
            tensor.__dlpack__(dl_device=(2, 0))
        with self.assertRaises(BufferError):
            tensor.__dlpack__(copy=True)
        self.assertIn("dltensor", repr(tensor.__dlpack__(
            stream=None, max_version=(1, 0), dl_device=(1, 0), copy=False)))

    def test_a_capsule_that_nobody_takes(self):
        loader = self.open(FILLED)
        tensor = loader[0]
        held = tensor.__dlpack__()
        for _ in range(50):
            tensor.__dlpack__()
        self.assertIn('"dltensor"', repr(held))  # not freed: we hold it
        del tensor, held
        self.assertEqual(loader.stats().held, 0)


class Held(Case):
    def test_more_than_may_be(self):
        loader = self.open(FILLED)
        with self.assertRaisesRegex(neap.Error, "copy what you keep") as caught:
            kept = []
            for tensor in loader:
                kept.append(tensor)
        self.assertEqual(caught.exception.kind, "held")
        self.assertEqual(len(kept), loader.stats().held_max)
        del kept[:5], tensor
        loader.seek(loader.position)
        self.assertEqual(next(iter(loader)).numpy().max(), loader.position)

    def test_cycles_are_collected_when_slots_run_short(self):
        class Node:
            pass

        gc.disable()
        self.addCleanup(gc.enable)
        for tensor in self.open(FILLED):
            node = Node()
            node.itself, node.tensor = node, tensor
        self.assertEqual(node.tensor.numpy().max(), 300)


@unittest.skipUnless(importlib.util.find_spec("torch"), "torch is not here")
class InTorch(Case):
    def test_is_not_copied(self):
        import torch
        loader = self.open(FILLED)
        tensor = torch.from_dlpack(loader[4])
        self.assertTrue(is_in_slots(tensor.data_ptr()))
        self.assertTrue(bool((tensor == 5).all()))
        loader.close()
        self.assertTrue(bool((tensor == 5).all()))

    def test_bf16(self):
        import torch
        tensor = self.values(["neap.tensor('bf16', {2}, {1, 2})"])[0]
        self.assertEqual(torch.from_dlpack(tensor).tolist(), [1, 2])
