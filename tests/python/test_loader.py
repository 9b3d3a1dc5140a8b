# SPDX-License-Identifier: MIT
"""A loader as a sequence and an iterable."""

import gc
import os
import pickle
import select
import threading
import weakref

import neap
from scene import NUMBERS, Case

SHUFFLED = """
    return neap.range(20):shuffle(1):map(function(i) return i end)
      :prefetch{workers = 2}"""


class Reading(Case):
    def test_is_a_sequence(self):
        loader = self.open(NUMBERS)
        self.assertEqual(len(loader), 10)
        self.assertEqual(loader[0], 1)
        self.assertEqual(loader[-1], 10)
        self.assertEqual(loader[2:8:3], [3, 6])
        self.assertEqual(list(reversed(loader)), list(range(10, 0, -1)))
        self.assertIn(7, loader)
        for wrong in 10, -11:
            with self.assertRaisesRegex(IndexError, rf"index {wrong} is out"):
                loader[wrong]
        with self.assertRaises(TypeError):
            loader["name"]

    def test_is_an_iterable(self):
        loader = self.open(NUMBERS)
        for _ in range(2):
            self.assertEqual(list(loader), list(range(1, 11)))
        self.assertEqual(loader.position, 10)

    def test_begins_again_after_a_break(self):
        loader = self.open(NUMBERS)
        for item in loader:
            if item == 3:
                break
        self.assertEqual(loader.position, 3)
        self.assertEqual(next(iter(loader)), 1)

    def test_reads_aside(self):
        loop = iter(loader := self.open(NUMBERS))
        self.assertEqual([next(loop), next(loop)], [1, 2])
        self.assertEqual(loader[8], 9)
        self.assertEqual(next(loop), 3)

    def test_reads_nothing(self):
        loader = self.open(NUMBERS, count=0)
        self.assertEqual((len(loader), list(loader)), (0, []))

    def test_an_endless_one_has_no_len(self):
        loader = self.open("return neap.from(function(i) return i end)")
        with self.assertRaisesRegex(TypeError, "is endless"):
            len(loader)
        self.assertEqual(loader[100], 101)
        self.assertEqual(next(iter(loader)), 1)
        with self.assertRaisesRegex(IndexError, "endless"):
            loader[-1]

    def test_refuses_an_older_loop(self):
        loader = self.open(NUMBERS)
        first = iter(loader)
        next(first)
        self.assertEqual(next(iter(loader)), 1)
        with self.assertRaisesRegex(RuntimeError, "a later loop"):
            next(first)

    def test_reads_from_many_threads(self):
        loop = iter(self.open(NUMBERS, count=2000))
        found, lock = [], threading.Lock()

        def read():
            for item in loop:
                with lock:
                    found.append(item)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(found), list(range(1, 2001)))

    def test_reads_as_completed(self):
        loader = self.open(NUMBERS, order=False)
        self.assertEqual(sorted(loader), list(range(1, 11)))

    def test_has_a_descriptor(self):
        loader = self.open(NUMBERS)
        fd = loader.fileno()
        self.assertEqual(select.select([fd], [], [], 60)[0], [fd])
        self.assertEqual(next(iter(loader)), 1)


class Moving(Case):
    def test_seeks(self):
        loader = self.open(NUMBERS)
        loader.seek(7)
        self.assertEqual(list(loader), [8, 9, 10])
        loader.seek(-1)
        self.assertEqual(list(loader), [10])
        loader.seek(10)
        self.assertEqual(list(loader), [])
        for wrong in 11, -11:
            with self.assertRaises(ValueError):
                loader.seek(wrong)

    def test_seeks_in_a_loop(self):
        loader, found = self.open(NUMBERS), []
        for item in loader:
            found.append(item)
            if item == 2:
                loader.seek(8)
        self.assertEqual(found, [1, 2, 9, 10])
        self.assertEqual(next(iter(loader)), 1)

    def test_has_epochs(self):
        loader = self.open(SHUFFLED)
        first, second = list(loader), list(loader.epoch(2))
        self.assertEqual(sorted(first), list(range(1, 21)))
        self.assertEqual(sorted(second), sorted(first))
        self.assertNotEqual(second, first)
        self.assertEqual(loader.current_epoch, 2)
        self.assertEqual(list(loader), second)
        self.assertEqual(loader[3], second[3])
        self.assertEqual(list(loader.epoch(1)), first)
        with self.assertRaisesRegex(ValueError, "epochs count from 1"):
            loader.epoch(0)

    def test_goes_on_where_another_stopped(self):
        one, found = self.open(SHUFFLED), []
        for item in one.epoch(3):
            found.append(item)
            if len(found) == 6:
                break
        state = pickle.loads(pickle.dumps(one.state_dict()))
        self.assertEqual(state, {"epoch": 3, "position": 6, "parameters": {}})
        other = self.open(SHUFFLED)
        other.load_state_dict(state)
        self.assertEqual(found + list(other), list(one.epoch(3)))

    def test_compares_parameters(self):
        state = self.open(NUMBERS, factor=2).state_dict()
        self.assertEqual(state["parameters"]["factor"], "2")
        with self.assertRaisesRegex(
                ValueError, "'factor' is 2 there, 1.5 here"):
            self.open(NUMBERS).load_state_dict(state)
        loader = self.open(NUMBERS, state["parameters"])
        loader.load_state_dict(state)
        with self.assertRaises(KeyError):
            loader.load_state_dict({})


class Opening(Case):
    def test_passes_parameters(self):
        loader = self.open(
            NUMBERS, {"workers": 7}, count=4, factor=0.1, name="ä,b\\",
            flag=True, sizes=[3, 4], words=("p,q", "r"), workers=1)
        self.assertEqual(loader.parameters, {
            "count": "4", "factor": "0.1", "name": "ä,b\\", "flag": "true",
            "sizes": "3,4", "words": "p\\,q,r", "workers": "7"})
        self.assertEqual(len(loader), 4)
        self.assertEqual(len(loader.stats().workers), 1)
        self.assertIn("count='4'", repr(loader))

    def test_refuses_parameters(self):
        with self.assertRaisesRegex(neap.InvalidError, "did you mean .?count"):
            self.open(NUMBERS, cuont=4)
        with self.assertRaisesRegex(ValueError, "integer expected, got 0.5"):
            self.open(NUMBERS, count=0.5)
        with self.assertRaisesRegex(TypeError, "'count'.*got object"):
            self.open(NUMBERS, count=object())
        with self.assertRaisesRegex(TypeError, "'count' is given twice"):
            self.open(NUMBERS, {"count": 1}, count=1)
        with self.assertRaisesRegex(ValueError, "NUL"):
            self.open(NUMBERS, name="a\0b")

    def test_refuses_options(self):
        with self.assertRaisesRegex(TypeError, "'workers': an integer"):
            self.open(NUMBERS, workers="4")
        with self.assertRaisesRegex(TypeError, "'timeout': seconds"):
            self.open(NUMBERS, timeout="1 s")
        with self.assertRaisesRegex(TypeError, "'text'"):
            self.open(NUMBERS, text="path")
        with self.assertRaisesRegex(ValueError, "'buffered'.*out of range"):
            self.open(NUMBERS, buffered=1 << 40)
        with self.assertRaises(ValueError):
            self.open(NUMBERS, buffered=0)

    def test_takes_options(self):
        loader = self.open(
            NUMBERS, workers=3, buffered=40, chunk="auto", order=True,
            concurrency=4,
            retries=0, timeout=60, memory=1 << 30, slot_bytes=1 << 20,
            build_timeout=30.5)
        self.assertEqual(len(loader.stats().workers), 3)
        self.assertEqual(loader.stats().held_max, 40)

    def test_says_what_is_wrong_with_a_file(self):
        with self.assertRaisesRegex(neap.Error, "No such file") as caught:
            neap.open(self.folder / "none.lua")
        self.assertEqual(caught.exception.status, "NEAP_EBUILD")
        self.assertEqual(caught.exception.kind, "build")
        with self.assertRaisesRegex(neap.Error, r"loader.lua:2: .*expected"):
            self.open("return )")
        with self.assertRaisesRegex(neap.Error, "build_timeout_ns") as caught:
            self.open("while true do end", build_timeout=0.1)
        self.assertEqual(caught.exception.kind, "timeout")

    def test_closes(self):
        with self.open(NUMBERS) as loader:
            self.assertEqual(loader[0], 1)
            self.assertFalse(loader.closed)
        self.assertTrue(loader.closed)
        loader.close()
        self.assertIn("closed", repr(loader))
        for use in (lambda: loader[0], lambda: len(loader),
                    lambda: next(iter(loader)), lambda: loader.seek(0),
                    lambda: loader.stats(), lambda: loader.position,
                    lambda: loader.fileno(), lambda: loader.state_dict()):
            with self.assertRaisesRegex(neap.Error, "is closed") as caught:
                use()
            self.assertEqual(caught.exception.kind, "closed")

    def test_is_closed_when_collected(self):
        loader = neap.open(self.write(NUMBERS))
        pid = loader.stats().workers[0].pid
        gone = weakref.ref(loader)
        del loader
        gc.collect()
        self.assertIsNone(gone())
        self.await_(lambda: not pid or not os.path.exists(f"/proc/{pid}"))

    def test_is_not_pickled(self):
        with self.assertRaisesRegex(TypeError, "open the file again"):
            pickle.dumps(self.open(NUMBERS))

    def test_tells_what_was_done(self):
        loader = self.open(NUMBERS)
        list(loader)
        stats = loader.stats()
        self.assertEqual(stats.items, 10)
        self.assertEqual(sum(one.items for one in stats.workers), 10)
        self.assertRegex(str(stats), r"10 items, .* 2 workers; waited \d")


class Failing(Case):
    TEXT = """
        local function check(i)
          if i == 2 then error("no item two") end
          return i
        end
        return neap.range(3):map(check):prefetch{workers = 2}"""

    def test_tells_why_an_item_failed(self):
        loader = self.open(self.TEXT)
        with self.assertRaises(neap.ItemError) as caught:
            loader[1]
        e = caught.exception
        self.assertRegex(e.message, "no item two$")
        self.assertEqual((e.kind, e.status), ("item", "NEAP_EITEM"))
        self.assertEqual((e.index, e.epoch, e.stage_index), (1, 1, 1))
        self.assertRegex(e.stage, r"^map at .*loader.lua:6|^map \(.*loader.lua")
        self.assertIn("loader.lua:4", e.traceback)
        self.assertIn(e.worker, (0, 1))
        self.assertIn("no item two", str(e))
        copy = pickle.loads(pickle.dumps(e))
        self.assertEqual((str(copy), copy.index), (str(e), 1))

    def test_goes_on_after_an_item(self):
        loop = iter(self.open(self.TEXT))
        self.assertEqual(next(loop), 1)
        with self.assertRaises(neap.ItemError):
            next(loop)
        self.assertEqual(next(loop), 3)
        self.assertEqual(list(loop), [])

    def test_tells_that_a_worker_died(self):
        loader = self.open("""
            return neap.range(3):map(function(i)
              if i == 2 then os.exit(3) end
              return i
            end):prefetch{workers = 1, retries = 0}""")
        with self.assertRaisesRegex(neap.ItemError, "exit status 3") as caught:
            list(loader)
        self.assertEqual(caught.exception.kind, "death")
        self.assertEqual(caught.exception.index, 1)

    def test_tells_that_workers_do_not_start(self):
        loader = self.open("""
            return neap.range(3):prefetch{workers = 1,
              on_start = function() error("no data") end}""")
        with self.assertRaisesRegex(neap.Error, "no data") as caught:
            next(iter(loader))
        self.assertEqual(caught.exception.kind, "worker")
        self.assertNotIsInstance(caught.exception, neap.ItemError)
