#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the hosts of examples/ as their head comments say, with the pkg-config
# file of the build tree, and runs them; compares what they print with patterns.
cd "$(dirname "$0")/.." || exit 1

export PKG_CONFIG_PATH="$PWD/build/lib/pkgconfig"
export LD_LIBRARY_PATH="$PWD/build/lib"
export PYTHONPATH="$PWD/bindings/python"
warnings="-Wall -Wextra -Wpedantic -Werror"
loaders=examples/loaders
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# expect NAME PATTERN...: each line of its output matches its pattern.
expect() {
  name=$1
  shift
  for pattern; do printf '%s\n' "$pattern"; done >"$work/patterns"
  if awk -v patterns="$work/patterns" '
    { if ((getline wanted <patterns) <= 0 || $0 !~ "^" wanted "$") bad = 1 }
    END { exit bad || (getline wanted <patterns) > 0 }' "$work/said"; then
    passed=$((passed + 1))
  else
    echo "failed: $name, which printed:"
    cat "$work/said"
    failed=$((failed + 1))
  fi
}

run() {
  "$@" >"$work/said" 2>&1 </dev/null
}

# Of three epochs; the last line is accurate to 0.81 or better.
expect_training() {
  grep -q 'images: 0\.8[1-9]\|images: 0\.9' "$work/said" || echo >>"$work/said"
  expect "$1" 'epoch 1: loss [01][.][0-9]+' 'epoch 2: loss 0[.][0-9]+' \
    'epoch 3: loss 0[.][0-9]+' 'waited [0-9.]+ of [0-9.]+ s for data' \
    'accuracy on the test images: 0[.][0-9]+'
}

flags=$(pkg-config --cflags --libs neap)

run cc -std=c11 -D_GNU_SOURCE -O2 $warnings examples/host_c/train.c $flags \
  -lm -o "$work/train" && run "$work/train" $loaders/fashion_mnist.lua 3
expect_training host_c

run c++ -std=c++11 -O2 $warnings examples/host_cpp/shapes.cpp $flags \
  -o "$work/shapes" && run "$work/shapes" $loaders/fashion_mnist.lua limit=2000
grep '^class' "$work/said" >"$work/classes" && mv "$work/classes" "$work/said"
expect host_cpp 'class 0: [0-9]+ images' 'class 1: [0-9]+ images' \
  'class 2: [0-9]+ images' 'class 3: [0-9]+ images' 'class 4: [0-9]+ images' \
  'class 5: [0-9]+ images' 'class 6: [0-9]+ images' 'class 7: [0-9]+ images' \
  'class 8: [0-9]+ images' 'class 9: [0-9]+ images'

run cc -std=c11 -D_GNU_SOURCE -O2 $warnings examples/host_epoll/serve.c $flags \
  -o "$work/serve" &&
  run "$work/serve" $loaders/waves.lua $loaders/fashion_mnist.lua
sort -o "$work/said" "$work/said"
expect host_epoll '[0-9]+ ticks of 10 ms meanwhile' \
  'examples/loaders/fashion_mnist.lua: 469 items, 0 failed' \
  'examples/loaders/waves.lua: 94 items, 0 failed'

# Without LuaJIT on its link line.
run cc -std=c11 -D_GNU_SOURCE -O2 $warnings examples/host_native/batches.c \
  $flags -o "$work/batches" && run "$work/batches"
expect host_native '2 processes: [0-9]+ batches/s, checksum [0-9a-f]+' \
  '2 threads: [0-9]+ batches/s, checksum [0-9a-f]+' 'the same batches'

for python in $PYTHON python3 /usr/bin/python3; do
  "$python" -c "import numpy" 2>/dev/null && break
done
run "$python" examples/host_python/train.py $loaders/fashion_mnist.lua 3
expect_training host_python

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
