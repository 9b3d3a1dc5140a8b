#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every example, and the Lua in README.md and the guide, a page as one
# script; compares what each prints with its comments `--> ...`, a line each,
# tabs as spaces.
cd "$(dirname "$0")/.." || exit 1

neap=${NEAP_EXECUTABLE:-build/bin/neap}
expected=$(mktemp)
actual=$(mktemp)
trap 'rm -f "$expected" "$actual"' EXIT
passed=0
failed=0

# What an example is run with, to be brief.
arguments() {
  case $1 in
  examples/fashion_mnist.lua) echo --limit 500 --epochs 2 --workers 2 ;;
  esac
}

# What it prints, where that is more than its comments say.
shorten() {
  case $1 in
  examples/fashion_mnist.lua) sed 's/[0-9a-f.]*[0-9][0-9a-f.]*/N/g' ;;
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

run() {
  case $1 in
  *.md) sed -n '/^```lua$/,/^```$/{/^```/!p;}' "$1" | "$neap" - ;;
  *) "$neap" "$1" $(arguments "$1") </dev/null ;;
  esac
}

for example in examples/*.lua README.md docs/guide/*.md; do
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
