#!/bin/sh
# SPDX-License-Identifier: MIT
# The driver of all tests: tests/run.sh [--config=NAME] [--long]
#
# A part is one program under a time limit; as many run at a time as there are
# cores. When it ends, its heading and its runner's closing line are printed;
# one that fails is shown in full and stops nothing. --long is passed on to C
# programs and scripts, for longer stress; specs find it as NEAP_LONG.
cd "$(dirname "$0")/.." || exit 1

configs="release asan tsan fuzz"
long=
limit_s=300
for word in "$@"; do
  case $word in
  --config=release | --config=debug | --config=asan | --config=tsan | \
    --config=fuzz)
    configs=${word#*=} ;;
  --long)
    long=--long
    limit_s=1800
    export NEAP_LONG=1 ;;
  *)
    echo "tests/run.sh: usage: [--config=release|debug|asan|tsan|fuzz]" \
      "[--long]" >&2
    exit 2 ;;
  esac
done

export UBSAN_OPTIONS=print_stacktrace=1
jobs=$(nproc)
work=$(mktemp -d)
: >"$work/results" # of each part: "passed failed", then what failed, if any
trap 'rm -rf "$work"' EXIT

# Ends all parts. (`$(jobs -p)` would list the jobs of a shell of its own.)
interrupt() {
  jobs -p >"$work/pids"
  kill $(cat "$work/pids") 2>/dev/null
  wait
  exit 130
}
trap interrupt INT TERM

# A line in the pipe is the right to run one part.
mkfifo "$work/rights"
exec 9<>"$work/rights"
for _ in $(seq "$jobs"); do echo >&9; done

# How cmocka, busted and our own scripts end.
closing='^\[  (PASSED|SKIPPED) +\] [0-9]+ test|^ *[0-9]+ FAILED TEST'
closing="$closing|^[0-9]+ success(es)? / |^[0-9]+ passed, [0-9]+ failed"

# Sets passed and failed.
count() {
  set -- $(grep -aE "$closing" "$log" | awk '
    /PASSED/ { passed += $4 }
    /FAILED TEST/ { failed += $1 }
    / success/ { passed += $1; failed += $4 + $7 }
    / passed, / { passed += $1; failed += $3 }
    END { print passed + 0, failed + 0 }')
  passed=$1
  failed=$2
}

# run COMMAND...: sets status. In a process group of its own, which the limit
# ends as a whole; a shell's background commands ignore SIGINT otherwise.
run() {
  env --default-signal=INT,QUIT timeout -k 10 "$limit_s" "$@" \
    >"$log" 2>&1 </dev/null 9>&- &
  child=$!
  trap 'kill "$child"; exit 130' TERM
  wait "$child"
  status=$?
}

# Sets reason, and fails a part that told of no failed test.
find_reason() {
  case $status in
  0) reason="it holds no test" ;;
  124 | 137) reason="no end within $limit_s s" ;;
  *) reason="exit status $status" ;;
  esac
  [ "$failed" -gt 0 ] || failed=1
}

# Prints a part that has ended, one at a time, and notes its result.
report() {
  flock 8
  echo "== $name"
  if [ -n "$reason" ]; then
    cat "$log"
    echo "FAILED: $name: $reason"
    echo "$passed $failed FAILED: $name: $reason" >>"$work/results"
  else
    grep -aE "$closing" "$log"
    echo "$passed $failed" >>"$work/results"
  fi
  sed -n 's/^NOT RUN: /0 0 &/p' "$log" >>"$work/results"
}

# A script that tells no count is one test. What it cannot run here, it says in
# a line "NOT RUN: ...".
run_part() {
  name=$1
  shift
  log=$(mktemp "$work/log.XXXXXX")
  reason=
  run "$@"
  count
  if [ "$status" -ne 0 ]; then
    find_reason
  elif ! grep -qaE "$closing" "$log"; then
    passed=1
  elif [ "$((passed + failed))" -eq 0 ]; then
    find_reason
  fi
  report 8>"$work/print"
  rm -f "$log"
}

# part NAME COMMAND...: runs it as soon as it may.
part() {
  read -r _ <&9
  {
    run_part "$@"
    echo >&9
  } &
}

# build CONFIG TARGET...: waits for the end; whether it succeeded.
build() {
  read -r _ <&9
  name="build ($1)"
  configuration=CONFIG=$1
  shift
  log=$work/build
  run make --no-print-directory "$configuration" "$@"
  trap interrupt INT TERM
  echo >&9
  reason= passed=0 failed=0
  [ "$status" -eq 0 ] || find_reason
  report 8>"$work/print"
  return "$failed"
}

c_tests() {
  for source in tests/c/*/test_*.c; do
    name=$(basename "$source" .c)
    part "$name ($1)" $fixed "$2/tests/$name" $long
  done
}

specs() {
  config=$1
  shift
  for spec in $(find tests/spec -name '*_spec.lua' | sort); do
    part "${spec#tests/spec/} ($config)" \
      "$@" "$busted" --helper=tests/spec/leaks.lua \
      --lpath="$PWD/lua/?.lua;$PWD/lua/?/init.lua" "$spec"
  done
}

scripts() {
  for script in tests/model/run.sh tests/examples.sh tests/hosts.sh \
    tests/install.sh tests/packages.sh; do
    [ -f "$script" ] && part "$script" sh "$script" $long
  done
  part tests/python sh tests/python/run.sh
  part tests/stress/storm.lua "$NEAP_EXECUTABLE" tests/stress/storm.lua $long
  part tests/stress/requests.lua "$NEAP_EXECUTABLE" \
    tests/stress/requests.lua $long
  part lint make --no-print-directory lint
}

busted=$(command -v busted)
# Sanitizers place their shadow memory where randomized addresses may stand.
fixed=
setarch -R true 2>/dev/null && fixed="setarch -R"

for config in $configs; do
  case $config in
  release)
    build release all tests || continue
    c_tests release build
    export NEAP_EXECUTABLE="$PWD/build/bin/neap"
    specs release luajit
    scripts ;;
  debug)
    build debug tests || continue
    c_tests debug build/debug
    export NEAP_EXECUTABLE="$PWD/build/debug/bin/neap"
    specs debug "$NEAP_EXECUTABLE" ;;
  asan)
    build asan tests || continue
    export ASAN_OPTIONS=handle_segv=2
    c_tests asan build/asan
    export NEAP_EXECUTABLE="$PWD/build/asan/bin/neap"
    specs asan $fixed "$NEAP_EXECUTABLE"
    part "tests/stress/storm.lua (asan)" \
      $fixed "$NEAP_EXECUTABLE" tests/stress/storm.lua $long ;;
  tsan)
    build tsan tests || continue
    c_tests tsan build/tsan ;;
  fuzz)
    if ! command -v clang >/dev/null; then
      echo "0 0 NOT RUN: the fuzzers: cannot find clang: run" \
        "./bootstrap.sh test" >>"$work/results"
      continue
    fi
    build fuzz fuzzers || continue
    for name in value value_lua blob npy csv saved tar; do
      part "fuzz $name" tests/fuzz/run.sh $long "$name"
    done ;;
  esac
done

wait
echo
sed -n 's/^[0-9]* [0-9]* //p' "$work/results"
awk '{ passed += $1; failed += $2 }
  END { print passed + 0 " passed, " failed + 0 " failed"; exit failed > 0 }' \
  "$work/results"
