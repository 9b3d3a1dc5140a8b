# SPDX-License-Identifier: MIT
"""Finding libneap, its declarations, and the module's installation."""

import ctypes
import os
import shutil
import subprocess
import sys

import neap
from neap._library import lib
from scene import ROOT, Case


class Library(Case):
    def test_has_the_modules_version(self):
        self.assertEqual(lib.function("neap_version")().decode(),
                         neap.__version__)

    def test_declares_what_the_library_has(self):
        sizeof = lib.function("neap_sizeof")
        for name in ("neap_error", "neap_options", "neap_tensor", "neap_view",
                     "neap_managed_tensor", "neap_stats", "neap_failure",
                     "neap_value", "neap_parameter"):
            self.assertEqual(ctypes.sizeof(lib.struct(name)),
                             sizeof(name.encode()), name)
        self.assertEqual(lib.constant("NEAP_UNSET"), -2**31)
        self.assertEqual(lib.function("neap_abi")(), lib.constant("NEAP_ABI"))

    def test_tells_what_it_lacks(self):
        with self.assertRaisesRegex(ImportError, "of the same version"):
            lib.function("neap_nothing")

    def run_with(self, path):
        return subprocess.run(
            [sys.executable, "-c",
             "import neap; print(neap._library.lib.path)"],
            env={**os.environ, "PYTHONPATH": str(ROOT / "bindings/python"),
                 "NEAP_LIBRARY": str(path)},
            capture_output=True, text=True, check=False)

    def test_is_told_by_the_environment(self):
        copy = self.folder / "libneap.so"
        shutil.copy(lib.path, copy)
        self.assertEqual(self.run_with(copy).stdout, f"{copy}\n")
        self.assertIn("ImportError: cannot load libneap: /nowhere/libneap.so",
                      self.run_with("/nowhere/libneap.so").stderr)

    def test_is_another_library(self):
        self.assertRegex(self.run_with("libc.so.6").stderr,
                         "ImportError: .*libc.so.6 is another library")


class Installation(Case):
    """pip install bindings/python, as far as it needs no network."""

    def pip(self, *words):
        return subprocess.run(
            [sys.executable, "-m", "pip", *words], capture_output=True,
            text=True, check=False)

    def test_by_pip(self):
        try:
            import setuptools
            import wheel  # noqa: F401
        except ImportError as e:
            self.skipTest(str(e))
        if int(setuptools.__version__.split(".")[0]) < 61:
            self.skipTest("setuptools is too old")
        if self.pip("--version").returncode != 0:
            self.skipTest("pip is not here")
        source = self.folder / "source"
        shutil.copytree(ROOT / "bindings/python", source,
                        ignore=shutil.ignore_patterns("__pycache__", "build"))
        target = self.folder / "target"
        done = self.pip("install", "--no-build-isolation", "--no-deps",
                        "--no-index", "--quiet", "--target", target, source)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((target / "neap/py.typed").exists())
        said = subprocess.run(
            [sys.executable, "-c", "import neap; print(neap.__file__)"],
            env={**os.environ, "PYTHONPATH": str(target),
                 "NEAP_LIBRARY": lib.path},
            capture_output=True, text=True, check=True, cwd=self.folder)
        self.assertEqual(said.stdout, f"{target}/neap/__init__.py\n")


