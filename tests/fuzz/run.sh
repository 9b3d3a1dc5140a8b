#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the fuzzers: tests/fuzz/run.sh [--seconds=N | --long] [NAME...]
#
# Each starts from honest inputs, which neap's own writers make, and from
# corpus/, whose inputs are small and reach far, or found something once.
# Without --seconds it makes a number of inputs, and is then asked to find a
# mistake that was made for it; with --seconds it goes on for so long and keeps
# what it finds in build/fuzz/corpus.
cd "$(dirname "$0")/../.." || exit 1

names=
runs=10000
seconds=
for word in "$@"; do
  case $word in
  --seconds=*) seconds=${word#*=} ;;
  --long) runs=500000 ;;
  value | value_lua | blob | npy | csv | saved | tar | declaration)
    names="$names $word" ;;
  *)
    echo "tests/fuzz/run.sh: usage: [--seconds=N | --long]" \
      "[value|value_lua|blob|npy|csv|saved|tar|declaration]..." >&2
    exit 2 ;;
  esac
done

# LuaJIT's heap would look lost, and what it freed would be kept for long; and
# a full unwinding trips over its compiled code, before the input is kept.
ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16:fast_unwind_on_fatal=1
export ASAN_OPTIONS
fixed=
setarch -R true 2>/dev/null && fixed="setarch -R"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0
failed=0

# fuzz NAME OPTION...
fuzz() {
  target=$1
  shift
  case $target in
  value | csv | saved | declaration)
    set -- "build/fuzz/tests/fuzz_$target" "$@" ;;
  value_lua)
    set -- build/fuzz/tests/fuzz_lua --script=tests/fuzz/value.lua "$@" ;;
  *) set -- build/fuzz/tests/fuzz_lua "--script=tests/fuzz/$target.lua" "$@" ;;
  esac
  $fixed "$@" -timeout=30 -print_final_stats=1 \
    -seed="${NEAP_TEST_SEED:-0}" 2>&1
}

# Sets kind, corpus and seeds; slots are the same for C and Lua.
find_inputs() {
  kind=${1%_lua}
  corpus=tests/fuzz/corpus/$kind
  seeds=$folder/$1
  mkdir -p "$seeds" "$seeds-found"
  if [ "$kind" = value ]; then
    fuzz value_lua "--seeds=$seeds"
  else
    fuzz "$1" "--seeds=$seeds"
  fi
}

tell() {
  if [ "$1" -eq 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "failed: $2"
  fi
}

# It must end well, and keep an input when something is wrong.
fuzz_briefly() {
  fuzz "$1" -runs="$runs" -artifact_prefix=build/fuzz/"$1"- \
    "$seeds-found" "$seeds" "$corpus"
  tell $? "$1: the input is in build/fuzz/$1-*"
  fuzz "$1" --mistake -runs="${runs}0" -artifact_prefix="$folder/$1-" \
    "$seeds" >"$folder/log"
  ls "$folder/$1-crash-"* >/dev/null
  tell $? "$1: it does not find a mistake"
}

fuzz_for_long() {
  kept=build/fuzz/corpus/$kind
  mkdir -p "$kept"
  fuzz "$1" -max_total_time="$seconds" -artifact_prefix=build/fuzz/"$1"- \
    "$kept" "$seeds" "$corpus"
  tell $? "$1: the input is in build/fuzz/$1-*"
}

for name in ${names:-value value_lua blob npy csv saved tar declaration}; do
  echo "== $name"
  find_inputs "$name"
  if [ -n "$seconds" ]; then
    fuzz_for_long "$name"
  else
    fuzz_briefly "$name"
  fi
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
