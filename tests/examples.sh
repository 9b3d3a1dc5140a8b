#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every example, and compares what it prints with its comments `--> ...`,
# a line each, tabs as spaces.
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
  *) sed -n 's/.*--> \{0,1\}//p' "$1" ;;
  esac
}

for example in examples/*.lua; do
  expect "$example" >"$expected"
  "$neap" "$example" $(arguments "$example") 2>&1 </dev/null |
    shorten "$example" >"$actual"
  if [ -s "$expected" ] && diff -u "$expected" "$actual"; then
    passed=$((passed + 1))
  else
    echo "failed: $example"
    failed=$((failed + 1))
  fi
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
