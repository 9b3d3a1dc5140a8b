# SPDX-License-Identifier: MIT
"""Loader files for tests, and what a test must leave behind: nothing."""

import gc
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

import neap

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEADLINE_S = 60
REQUIRE = "local neap = require('neap')\n"

NUMBERS = """
    return neap.loader{
      params = {count = 10, factor = 1.5, name = "a", flag = false,
                workers = 1, sizes = {1, 2}, words = {"x"}},
      build = function(p)
        return neap.range(p.count):map(function(i) return i end)
      end,
      prefetch = {workers = 2},
    }"""

# item 2 is not computed before the file `gate` is there.
GATED = """
    return neap.loader{
      params = {gate = ""},
      build = function(p)
        local function wait(path)
          local file = io.open(path)
          while not file do file = io.open(path) end
          file:close()
        end
        return neap.range(3):map(function(i)
          if i == 2 then wait(p.gate) end
          return i
        end)
      end,
      prefetch = {workers = 1, chunk = 1},
    }"""


def descriptors():
    """Those of neap: memory, events and processes. (Pipes are Python's.)"""
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        count += target.startswith(("/memfd:neap", "anon_inode:", "socket:"))
    return count


class Case(unittest.TestCase):
    """Has a folder, and counts what a test leaves open."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="neap-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.loaders = []
        before = descriptors()
        self.addCleanup(self.check_left, before)

    def check_left(self, before):
        for loader in self.loaders:
            loader.close()
        gc.collect()
        self.await_(lambda: descriptors() == before)

    def await_(self, condition):
        until = time.monotonic() + DEADLINE_S
        while not condition():
            self.assertLess(time.monotonic(), until, "no end of the wait")
            time.sleep(0.001)

    def write(self, text, name="loader.lua"):
        path = self.folder / name
        path.write_text(REQUIRE + textwrap.dedent(text))
        return path

    def open(self, source, /, *arguments, **options):
        loader = neap.open(self.write(source), *arguments, **options)
        self.loaders.append(loader)
        return loader

    def values(self, expressions, **options):
        """The items of a loader, each an expression of Lua."""
        return self.open(f"""
            local function f(i)
              local ffi = require("ffi")
              local items = {{ {", ".join(
                  f"function() return {e} end" for e in expressions)} }}
              return items[i]()
            end
            return neap.range({len(expressions)}):map(f)
              :prefetch{{workers = 1}}""", **options)

    def python(self, text, *arguments, status=0):
        """Runs a script; returns what it printed."""
        path = self.folder / "script.py"
        path.write_text(textwrap.dedent(text))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, str(path), *map(str, arguments)], text=True,
            capture_output=True, timeout=DEADLINE_S, env=environment,
            check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout
