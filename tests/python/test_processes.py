# SPDX-License-Identifier: MIT
"""Forks, Ctrl-C, and the end of the interpreter."""

import multiprocessing
import os
import signal
import threading
import time

import neap
from scene import GATED, NUMBERS, Case


def read_here(path, queue):
    with neap.open(path) as loader:
        queue.put(list(loader))


def read_in_child(loader, queue):
    try:
        queue.put(loader[0])
    except neap.Error as e:
        queue.put((e.kind, str(e)))


class Forks(Case):
    def answer(self, method, target, *arguments):
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        child = context.Process(target=target, args=(*arguments, queue))
        child.start()
        found = queue.get(timeout=60)
        child.join(60)
        self.assertEqual(child.exitcode, 0)
        queue.close()
        queue.join_thread()
        return found

    def test_a_forked_child_is_refused(self):
        loader = self.open(NUMBERS)
        loop = iter(loader)
        next(loop)
        kind, text = self.answer("fork", read_in_child, loader)
        self.assertEqual(kind, "closed")
        self.assertIn("forked", text)
        self.assertIn("open a loader in this process", text)
        self.assertEqual(list(loop), list(range(2, 11)))

    def test_a_forked_child_opens_its_own(self):
        self.open(NUMBERS)[0]
        self.assertEqual(self.answer("fork", read_here, self.write(NUMBERS)),
                         list(range(1, 11)))

    def test_a_spawned_child_opens_its_own(self):
        self.assertEqual(self.answer("spawn", read_here, self.write(NUMBERS)),
                         list(range(1, 11)))

    def test_a_child_of_a_process_that_waits(self):
        gate = self.folder / "gate"
        loop = iter(loader := self.open(GATED, gate=gate))
        next(loop)
        found = []
        thread = threading.Thread(target=lambda: found.append(next(loop)))
        thread.start()
        time.sleep(0.05)  # it holds the lock, which the child must not wait for
        child = os.fork()
        if child == 0:
            try:
                loader.close()
            finally:
                os._exit(0)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        gate.touch()
        thread.join()
        self.assertEqual(found, [2])


class Threads(Case):
    def test_closing_ends_a_wait(self):
        loop = iter(loader := self.open(GATED, gate=self.folder / "gate"))
        next(loop)
        found = []

        def read():
            try:
                next(loop)
            except neap.Error as e:
                found.append(e.kind)

        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(0.05)
        loader.close()
        thread.join()
        self.assertEqual(found, ["closed"])


class Interrupts(Case):
    def interrupt(self, call):
        """Calls; sends SIGINT soon. Returns how long it took to raise."""
        since = []

        def send():
            since.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(0.1, send)
        timer.start()
        try:
            with self.assertRaises(KeyboardInterrupt):
                call()
            return time.monotonic() - since[0]
        finally:
            timer.join()

    def test_next(self):
        loop = iter(self.open(GATED, gate=self.folder / "gate"))
        self.assertEqual(next(loop), 1)
        self.assertLess(self.interrupt(lambda: next(loop)), 2)
        (self.folder / "gate").touch()
        self.assertEqual(list(loop), [2, 3])

    def test_a_handler_does_not_read_in_between(self):
        loop = iter(loader := self.open(GATED, gate=self.folder / "gate"))
        self.assertEqual(next(loop), 1)
        reads = (lambda: next(loop), lambda: loader[0], lambda: iter(loader),
                 lambda: loader.seek(0))

        def handle(*_):
            for read in reads:
                with self.assertRaisesRegex(RuntimeError, "is being read"):
                    read()
            (self.folder / "gate").touch()

        before = signal.signal(signal.SIGALRM, handle)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        self.assertEqual(list(loop), [2, 3])
        self.assertEqual(list(loader), [1, 2, 3])

    def test_index(self):
        loader = self.open(GATED, gate=self.folder / "gate")
        self.assertLess(self.interrupt(lambda: loader[1]), 2)
        (self.folder / "gate").touch()
        self.assertEqual(loader[1], 2)
        self.assertEqual(list(loader), [1, 2, 3])

    def test_open(self):
        path = self.write("""
            local file
            repeat file = io.open(arg and arg[1] or "%s") until file
            file:close()
            return neap.range(3)""" % (self.folder / "gate"))
        self.assertLess(self.interrupt(lambda: neap.open(path)), 2)
        (self.folder / "gate").touch()  # then what was opened is closed


class Exits(Case):
    def test_with_open_loaders_and_kept_arrays(self):
        path = self.write("""
            return neap.range(20):map(function(i)
              return {neap.tensor("f32", {8}), i}
            end):prefetch{workers = 2}""")
        said = self.python("""
            import sys
            import numpy
            import neap
            loader = neap.open(sys.argv[1])
            loop = iter(loader)
            kept = [next(loop) for _ in range(5)]
            arrays = [numpy.from_dlpack(tensor) for tensor, _ in kept]
            sys.kept = kept, arrays, loop  # outlives this module
            capsule = kept[0][0].__dlpack__()
            print(loader.stats().workers[0].pid, loader.stats().workers[1].pid)
            """, path)
        for pid in said.split():
            self.await_(lambda pid=pid: not os.path.exists(f"/proc/{pid}"))

    def test_while_a_thread_reads(self):
        self.python("""
            import sys, threading, time
            import neap
            loader = neap.open(sys.argv[1], gate=sys.argv[1] + ".none")
            thread = threading.Thread(target=lambda: list(loader), daemon=True)
            thread.start()
            time.sleep(0.2)
            """, self.write(GATED))
