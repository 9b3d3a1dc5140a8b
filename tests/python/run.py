# SPDX-License-Identifier: MIT
"""Runs the tests of the Python module: run.py [NAME...]"""

import faulthandler
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
DEADLINE_S = 280
sys.path[:0] = [str(HERE.parents[1] / "bindings" / "python"), str(HERE)]


def main(names):
    faulthandler.dump_traceback_later(DEADLINE_S, exit=True)
    names = names or sorted(path.stem for path in HERE.glob("test_*.py"))
    tests = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = unittest.TextTestRunner().run(tests)
    for test, why in result.skipped:
        print(f"not run: {test}: {why}")
    failed = len(result.failures) + len(result.errors)
    passed = result.testsRun - failed - len(result.skipped)
    print(f"{passed} passed, {failed} failed")
    faulthandler.cancel_dump_traceback_later()
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
