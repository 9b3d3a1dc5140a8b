#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks the model of the ring with spin: tests/model/run.sh [--long]
#
# A job is one line: what to expect (holds, lives or fails), numbers of
# workers, entries, items, held runs, kills and seeks, and more definitions.
# "holds" is every state, "lives" is that every fair run ends, "fails" is a
# mistake put into the model, which must be noticed. Two jobs run at a time.

quick_jobs() {
  cat <<END
holds 2 2 2 1 0 1
holds 2 1 1 1 1 0
holds 1 2 3 1 1 1
holds 1 2 2 1 2 1
holds 1 2 2 1 1 1 -DHINTS
holds 1 2 2 1 1 1 -DUNORDERED
holds 1 1 2 1 1 1 -DGETS=1
holds 2 1 1 1 1 0 -DSPURIOUS -DWIDE
holds 1 2 2 1 1 1 -DTRIMS=1
holds 1 2 2 1 1 0 -DTRIMS=2 -DHINTS
lives 1 1 2 1 1 1
lives 2 1 1 1 0 0 -DHINTS
holds 1 2 3 1 0 1 -DCLAIMS=2
holds 1 2 2 1 1 1 -DCLAIMS=2
holds 1 2 2 1 1 1 -DCLAIMS=2 -DUNORDERED
holds 1 2 2 1 0 1 -DCLAIMS=2 -DHANGS
holds 1 2 2 1 1 1 -DCLAIMS=2 -DHANGS
holds 2 1 1 1 1 0 -DCLAIMS=2
lives 1 1 2 1 0 0 -DCLAIMS=2
fails 1 2 2 1 0 1 -DCLAIMS=2 -DHANGS -DBUG_CANCEL
fails 1 2 2 1 0 1 -DCLAIMS=2 -DHANGS -DBUG_DOZE
fails 1 2 3 1 0 0 -DCLAIMS=2 -DSLOTS=4
fails 1 2 2 1 1 0 -DCLAIMS=2 -DBUG_REOPEN
fails 1 1 1 1 0 0 -DBUG_READY
fails 1 1 1 1 0 0 -DBUG_LOOK
fails 1 1 1 1 0 0 -DBUG_WAIT
fails 1 1 1 1 0 0 -DBUG_SLEEP
fails 1 1 1 1 0 1 -DBUG_HINT
fails 1 1 1 1 0 1 -DBUG_TICKET
fails 1 1 1 1 1 0 -DBUG_IDLE
fails 1 1 1 1 1 0 -DBUG_WAKE
fails 1 1 1 1 1 0 -DBUG_DELIVERED
fails 1 1 1 1 1 0 -DBUG_REOPEN
fails 1 1 2 1 0 0 -DSLOTS=2
fails 1 1 2 1 0 0 -DTRIMS=1 -DBUG_TRIM
fails 1 1 2 1 0 0 -DTRIMS=1 -DBUG_PUNCH
END
}

# A quarter of an hour, and up to 5 GB.
# Worth a compiler that takes its time.
large_jobs() {
  cat <<END
holds 2 3 3 1 0 0
holds 2 2 2 1 1 0
END
}

long_jobs() {
  cat <<END
holds 2 1 2 1 1 0
holds 2 3 3 1 1 0
holds 2 2 3 1 0 1
holds 1 2 3 1 2 1
holds 1 2 3 1 2 1 -DHINTS
holds 1 2 3 1 2 1 -DUNORDERED
holds 1 2 3 1 2 1 -DGETS=1
holds 1 3 4 2 1 1
holds 2 1 2 1 2 0
holds 2 2 2 1 1 0 -DTRIMS=1
holds 2 1 2 1 1 1
holds 2 2 3 1 1 0
holds 2 2 2 1 2 0
holds 2 2 2 1 1 1
lives 2 1 1 1 1 0
END
}

many() {
  if [ "$1" -eq 1 ]; then echo "$1 $2"; else echo "$1 $2s"; fi
}

# Answers whether what came out is what was expected; sets states.
as_expected() {
  states=$(awk '/ states, stored/ { print $1 + 0 }' said)
  case $1 in
  fails) grep -q 'errors: [1-9]' said ;;
  *) grep -q 'errors: 0' said && ! grep -q 'too small\|not completed' said ;;
  esac
}

# job FOLDER EXPECTED WORKERS ENTRIES ITEMS HELD KILLS SEEKS DEFINITION...
job() {
  here=$(mktemp -d "$1/XXXXXX")
  cd "$here" || exit 1
  expected=$2
  name="$(many "$3" worker), $(many "$4" entry | sed s/entrys/entries/)"
  name="$name, $(many "$5" item), $(many "$7" kill), $(many "$8" seek)"
  flags="-DWORKERS=$3 -DENTRIES=$4 -DITEMS=$5 -DHELD=$6 -DKILLS=$7 -DSEEKS=$8"
  shift 8
  for word in "$@"; do
    name="$name, ${word#-D}"
    flags="$flags $word"
  done
  cflags="$optimize -DSAFETY -DCOLLAPSE"
  options="-m100000"
  if [ "$expected" = lives ]; then
    flags="$flags -DLIVE"
    cflags="$optimize -DCOLLAPSE"
    options="$options -a -f -N ends"
  fi
  cp "$model" "$(dirname "$model")/many.pml" .
  {
    spin -a $flags ring.pml && gcc -w $cflags -o pan pan.c && ./pan $options
  } >said 2>&1
  if as_expected "$expected"; then
    case $expected in
    holds) echo "model ring $name: states $states, errors 0" ;;
    lives) echo "model ring $name: states $states, all end" ;;
    fails) echo "model ring $name: noticed" ;;
    esac
    echo passed >>../results
  else
    echo "model ring $name: NOT AS EXPECTED ($expected)"
    cat said
    [ -f ring.pml.trail ] && spin -t -p -g $flags ring.pml
    echo failed >>../results
  fi
  rm -rf "$here"
}

model=$(cd "$(dirname "$0")" && pwd)/ring.pml
if [ "$1" = --job ]; then
  shift
  job "$@"
  exit
fi

command -v spin >/dev/null || { echo "run.sh: cannot find spin"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export optimize=-O0 # the compiler takes longer than most of the jobs
quick_jobs | xargs -P 2 -L 1 sh "$0" --job "$work"
optimize=-O2
large_jobs | xargs -P 2 -L 1 sh "$0" --job "$work"
[ "$1" = --long ] && long_jobs | xargs -P 1 -L 1 sh "$0" --job "$work"
passed=$(grep -c passed "$work/results")
failed=$(grep -c failed "$work/results")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
