#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every example, and the Lua in README.md and the guide, a page as one
# script, and checks the loader files; compares what each prints with its
# comments `--> ...`, a line each, tabs as spaces.
cd "$(dirname "$0")/.." || exit 1

neap=${NEAP_EXECUTABLE:-build/bin/neap}
root=$PWD
program=$(realpath "$neap")
expected=$(mktemp)
actual=$(mktemp)
trap 'rm -f "$expected" "$actual"' EXIT
passed=0
failed=0

for python in $PYTHON python3 /usr/bin/python3 none; do
  "$python" -c "import numpy" 2>/dev/null && break
done

# What an example is run with, to be brief.
arguments() {
  case $1 in
  examples/fashion_mnist.lua) echo --limit 500 --epochs 2 --workers 2 ;;
  examples/crawl.lua | examples/save_primes.lua)
    echo --delay 10 --svg /dev/null ;;
  esac
}

# What it prints, where that is more than its comments say.
shorten() {
  case $1 in
  examples/fashion_mnist.lua) sed 's/[0-9a-f.]*[0-9][0-9a-f.]*/N/g' ;;
  examples/server.lua) sed 's/:[0-9]* waits/:N waits/' ;;
  examples/crawl.lua | examples/save_primes.lua) head -n 1 ;;
  examples/loaders/*) sed '1,/^result$/d; /^workers run /d' ;;
  README.md) tr '\t' ' ' | sed 's/{.*,/{N,/' ;;
  *) tr '\t' ' ' ;;
  esac
}

expect() {
  case $1 in
  examples/fashion_mnist.lua)
    echo "epoch N: loss N"
    echo "epoch N: loss N"
    echo "N images/s, N of N s waiting for data"
    echo "checksum of all batches: N"
    echo "accuracy on the test images: N" ;;
  README.md)
    echo "1 tensor f32 4x256 {N, ...}"
    echo "2 tensor f32 4x256 {N, ...}" ;;
  *) sed -n 's/.*--> \{0,1\}//p' "$1" ;;
  esac
}

# A page with files, which are blocks that have a name, is run in a folder of its
# own; its main.c runs first, its Python last.
run_page() {
  folder=$(mktemp -d)
  awk -v folder="$folder" '/^```/ { out = ""; if (NF == 2) out = folder "/" $2
      next } out { print > out }' "$1"
  code=$(sed -n '/^```lua$/,/^```$/{/^```/!p;}' "$1")
  python_code=$(sed -n '/^```python$/,/^```$/{/^```/!p;}' "$1")
  (
    cd "$folder" || exit 1
    if [ -f main.c ]; then
      cc -std=c99 -I "$root/runtime/include" main.c -o main \
        "$root/build/lib/libneap.a" -lffi -lz -lm -ldl -lpthread &&
        NEAP_WORKER=$program ./main
    fi
    [ -z "$code" ] || echo "$code" | "$program" -
    [ -z "$python_code" ] ||
      echo "$python_code" | PYTHONPATH=$root/bindings/python "$python" -
  )
  rm -r "$folder"
}

run() {
  case $1 in
  docs/guide/embed.md | docs/guide/python.md) run_page "$1" ;;
  examples/loaders/*) "$neap" check "$1" --limit 3 ;;
  *.md) sed -n '/^```lua$/,/^```$/{/^```/!p;}' "$1" | "$neap" - ;;
  *) "$neap" "$1" $(arguments "$1") </dev/null ;;
  esac
}

for example in examples/*.lua examples/loaders/*.lua README.md docs/guide/*.md; do
  if [ "$python$example" = nonedocs/guide/python.md ]; then
    echo "not run: $example: cannot find a Python with numpy"
    continue
  fi
  expect "$example" >"$expected"
  run "$example" 2>&1 | shorten "$example" >"$actual"
  if [ -s "$expected" ] && diff -u "$expected" "$actual"; then
    passed=$((passed + 1))
  else
    echo "failed: $example"
    failed=$((failed + 1))
  fi
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
