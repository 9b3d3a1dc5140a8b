#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the tests of the Python module with a Python that has numpy: PYTHON of
# the environment, the one on PATH, or the system's.
cd "$(dirname "$0")" || exit 1

for python in $PYTHON python3 /usr/bin/python3; do
  "$python" -c "import numpy" 2>/dev/null && exec "$python" run.py "$@"
done
echo "cannot find a Python with numpy: run ./bootstrap.sh test" >&2
exit 1
