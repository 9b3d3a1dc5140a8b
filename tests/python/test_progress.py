# SPDX-License-Identifier: MIT
"""The progress bar: on terminals, in Jupyter, and nowhere else."""

import io
import os
import pty
import sys
import types
import unittest.mock

import neap
from scene import NUMBERS, Case


class Progress(Case):
    def test_is_silent_elsewhere(self):
        with unittest.mock.patch("sys.stderr", io.StringIO()) as said:
            self.assertEqual(list(neap.progress(self.open(NUMBERS))),
                             list(range(1, 11)))
            self.assertEqual(said.getvalue(), "")

    def test_is_a_line_on_a_terminal(self):
        master, slave = pty.openpty()
        with open(slave, "w", encoding="utf-8") as terminal:
            with unittest.mock.patch("sys.stderr", terminal), \
                    unittest.mock.patch("os.get_terminal_size",
                                        lambda fd: os.terminal_size((80, 24))):
                items = list(neap.progress(self.open(NUMBERS), "epoch 1"))
            terminal.flush()
            said = ""
            while not said.endswith("\n"):
                said += os.read(master, 1 << 16).decode()
        os.close(master)
        self.assertEqual(items, list(range(1, 11)))
        last = said.rstrip().split("\r")[-1]
        self.assertRegex(
            last, r"^epoch 1 100% \[#+\] 10/10 .*/s, 0:00, 0:00 left")
        self.assertEqual(said[-1], "\n")

    def test_is_an_output_in_jupyter(self):
        shown = []
        handle = types.SimpleNamespace(
            update=lambda data, raw: shown.append(data["text/plain"]))
        display = types.SimpleNamespace(
            display=lambda data, raw, display_id: handle)
        shell = types.SimpleNamespace(kernel=True)
        ipython = types.SimpleNamespace(get_ipython=lambda: shell,
                                        display=display)
        modules = {"IPython": ipython, "IPython.display": display}
        with unittest.mock.patch.dict(sys.modules, modules), \
                unittest.mock.patch("sys.stderr", io.StringIO()) as said:
            list(neap.progress(self.open(NUMBERS)))
        self.assertIn("10/10", shown[-1])
        self.assertEqual(said.getvalue(), "")

    def test_of_what_has_no_length(self):
        from neap._progress import _line
        self.assertEqual(_line("", 30, None, 10, 2), "30 10.0/s, 0:02")
        self.assertIn(" 0/0 ", _line("", 0, 0, 0, 0))
        self.assertIn("2:46:40, -:--", _line("", 0, 5, 0, 10000))
