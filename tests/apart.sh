# SPDX-License-Identifier: MIT
# What tests/install.sh and tests/packages.sh share: checks, and running what
# is installed while the tree that it was built in is out of reach.

tree=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
soname=libneap.so.$(sed -n 's/.*NEAP_ABI = \([0-9]*\).*/\1/p' \
  runtime/include/neap.h)
passed=0
failed=0

# No other neap is found.
export PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
unset NEAP_WORKER NEAP_LIBRARY NEAP_LUA LUA_PATH LUA_CPATH MAKEFLAGS

# check NAME COMMAND...: one test.
check() {
  name=$1
  shift
  if "$@" >"$work/log" 2>&1; then
    passed=$((passed + 1))
  else
    cat "$work/log"
    echo "failed: $name"
    failed=$((failed + 1))
  fi
}

# same TEXT TEXT
same() {
  [ "$1" = "$2" ] || { printf '%s\n' "is:" "$1" "is not:" "$2"; return 1; }
}

finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}

# Sets `unshare` to what gives a process mounts of its own; or to nothing.
find_unshare() {
  for option in -m -rm; do
    unshare="unshare $option"
    $unshare mount -t tmpfs none "$work" 2>/dev/null && return
  done
  unshare=
}
find_unshare

# apart MOUNTS COMMAND...: in $work, after the shell has run MOUNTS, while an
# empty folder covers the tree.
apart() {
  mounts=$1
  shift
  if [ "$unshare" ]; then
    $unshare sh -c 'mount -t tmpfs none "$1" && cd "$2" && eval "$3" || exit
      shift 3
      exec "$@"' - "$tree" "$work" "$mounts" "$@"
  else
    (cd "$work" && "$@")
  fi
}

# Prints where the modules are. $1: the tree.
cat >"$work/use.lua" <<'END'
local tree = arg[1]
local neap = require("neap")
local p = neap.range(4):map(function(x) return 2 * x end):shuffle(1)
  :prefetch({ workers = 2 })
local sum = 0
for _, x in p:each() do sum = sum + x end
assert(sum == 20, sum)
for line in io.lines("/proc/self/maps") do
  assert(not line:find(tree .. "/", 1, true), line)
end
assert(not package.path:find(tree .. "/", 1, true), package.path)
assert(not os.getenv("WANTS_BUNDLE")
  or package.preload["neap.source.range"], "the bundle is not used")
print(require("neap.base.lib").lua_dir)
END

sed -n '/^```c$/,/^```$/{/^```/!p;}' docs/guide/install.md >"$work/host.c"
greeting="neap $(sed -n 's/^return "\(.*\)"/\1/p' lua/neap/base/version.lua), \
ABI ${soname##*.}"
