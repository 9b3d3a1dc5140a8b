#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs neap below a temporary folder, and uses it from there while the tree
# that it was built in is out of reach.
cd "$(dirname "$0")/.." || exit 1

tree=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
own=$work/own
stage=$work/stage
soname=libneap.so.$(sed -n 's/.*NEAP_ABI = \([0-9]*\).*/\1/p' \
  runtime/include/neap.h)
passed=0
failed=0

# The tree is built already, and other tests use it.
make_() {
  env -u MAKEFLAGS make --no-print-directory -o all "$@"
}

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

# apart COMMAND...: runs it where an empty folder covers the tree, and what is
# staged covers /usr/local.
unshare=
for option in -m -rm; do
  [ "$unshare" ] || ! unshare $option mount -t tmpfs none "$work" 2>/dev/null ||
    unshare="unshare $option"
done
apart() {
  [ "$unshare" ] || { (cd "$work" && "$@"); return; }
  $unshare sh -c 'mount -t tmpfs none "$1" && cd "$2" || exit
    [ ! -d stage/usr/local ] || mount --bind stage/usr/local /usr/local || exit
    shift 2
    exec "$@"' - "$tree" "$work" "$@"
}
[ "$unshare" ] ||
  echo "NOT RUN: tests/install.sh in a namespace of its own: unshare fails"

# same TEXT TEXT
same() {
  [ "$1" = "$2" ] || { printf '%s\n' "is:" "$1" "is not:" "$2"; return 1; }
}

files() {
  (cd "$1" && find . -type f -o -type l) | sed "
    s|^\./||
    s|^share/lua/5.1/neap/.*/.*|share/lua/5.1/neap/*/*|
    s|^\(lib/python3\)[^/]*/[a-z]*-packages/neap/.*|\1/neap/*|" | sort -u
}

expected="bin/neap
include/neap.h
lib/libneap.a
lib/libneap.so
lib/$soname
lib/neap.bundle
lib/pkgconfig/neap.pc$([ ! -d bindings/python/neap ] ||
  printf '\nlib/python3/neap/*')
share/bash-completion/completions/neap
share/lua/5.1/neap/*/*
share/lua/5.1/neap/init.lua
share/lua/5.1/neap/main.lua
share/lua/5.1/neap/worker.lua
share/man/man1/neap.1
share/man/man3/neap.3
share/man/man5/neap-loader.5"

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

# In a variable of their own: PATH has a neap of the machine, maybe.
export PATH="/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
unset NEAP_WORKER NEAP_LIBRARY NEAP_LUA LUA_PATH LUA_CPATH

# -- PREFIX ---------------------------------------------------------------

installs_below_prefix() {
  mkdir -p "$own/share/lua/5.1/neap" || return
  echo "of a version before" >"$own/share/lua/5.1/neap/stale.lua"
  make_ install PREFIX="$own" || return
  same "$(files "$own")" "$expected"
}

neap_runs() {
  same "$(WANTS_BUNDLE=1 apart "$own/bin/neap" use.lua "$tree")" \
    "$own/share/lua/5.1"
}

luajit_runs() {
  path="$own/share/lua/5.1/?.lua;$own/share/lua/5.1/?/init.lua;;"
  same "$(LUA_PATH=$path apart luajit use.lua "$tree")" "$own/share/lua/5.1"
}

# builds NAME COMPILER...: a host that runs and says which version it uses.
builds() {
  host=$1
  shift
  PKG_CONFIG_PATH=$own/lib/pkgconfig apart sh -c "$* -o $host" || return
  same "$(LD_LIBRARY_PATH=$own/lib apart "./$host")" \
    "neap $("$own/bin/neap" -e 'io.write(require("neap.base.version"))'), ABI ${soname##*.}"
}

needs_soname() {
  objdump -p "$work/shared" | grep -q "NEEDED *$soname$"
}

exports_neap_alone() {
  nm -D --defined-only "$own/lib/$soname" >"$work/symbols" || return
  grep -q ' T neap_version$' "$work/symbols" || return
  ! grep -v ' [A-Z] neap_[a-z]' "$work/symbols"
}

shows_man_pages() {
  for page in "1 neap" "3 neap" "5 neap-loader"; do
    man -M "$own/share/man" -w $page || return
  done
}

imports() {
  PYTHONPATH=$(dirname "$own"/lib/python3*/*-packages/neap) \
    apart python3 -c 'import neap'
}

refuses_a_relative_prefix() {
  same "$(make_ install PREFIX=here 2>&1 | head -1)" "install.sh: cannot \
install to PREFIX=here: it is not an absolute path"
}

uninstalls_from_prefix() {
  make_ uninstall PREFIX="$own" || return
  same "$(files "$own")" ""
}

check "make install" installs_below_prefix
check "neap where it is installed" neap_runs
check "a plain luajit that is told LUA_PATH" luajit_runs
check "a C host" builds shared \
  'cc host.c $(pkg-config --cflags --libs neap)'
check "the C host's library" needs_soname
check "a C host in one file" builds static \
  'cc -static host.c $(pkg-config --static --cflags --libs neap)'
! command -v c++ >/dev/null || check "a C++ host" builds plus \
  'c++ -x c++ host.c -x none $(pkg-config --cflags --libs neap)'
check "what libneap.so exports" exports_neap_alone
! command -v man >/dev/null || check "the man pages" shows_man_pages
[ ! -d bindings/python/neap ] || check "the Python module" imports
check "a relative PREFIX" refuses_a_relative_prefix
check "make uninstall" uninstalls_from_prefix

# -- DESTDIR --------------------------------------------------------------

installs_below_destdir() {
  SOURCE_DATE_EPOCH=1700000000 make_ install DESTDIR="$work/fresh" || return
  mkdir "$stage" || return # as through a package, which keeps whole seconds
  tar -C "$work/fresh" -c . | tar -C "$stage" -xp || return
  same "$(files "$stage/usr/local")" "$expected" &&
    ! grep -rlF -e "$work" -e "$tree" "$stage/usr/local/share" \
      "$stage/usr/local/lib/neap.bundle" "$stage/usr/local/lib/pkgconfig"
}

is_at_home() {
  [ "$unshare" ] || return 0
  same "$(WANTS_BUNDLE=1 apart /usr/local/bin/neap use.lua "$tree")" \
    "/usr/local/share/lua/5.1" &&
    same "$(apart luajit use.lua "$tree")" "/usr/local/share/lua/5.1"
}

builds_in_a_sysroot() {
  flags=$(PKG_CONFIG_SYSROOT_DIR=$stage \
    PKG_CONFIG_PATH=$stage/usr/local/lib/pkgconfig \
    pkg-config --cflags --libs neap) &&
    same "$flags" "-I$stage/usr/local/include -L$stage/usr/local/lib -lneap "
}

keeps_libraries_elsewhere() {
  make_ install DESTDIR="$work/multi" PREFIX=/usr LIBDIR=/usr/lib/gnu || return
  same "$(PKG_CONFIG_PATH=$work/multi/usr/lib/gnu/pkgconfig \
    pkg-config --variable=libdir neap)" /usr/lib/gnu &&
    same "$(cd "$work/multi/usr/lib" && echo gnu/libneap.* neap.*)" \
      "gnu/libneap.a gnu/libneap.so gnu/$soname neap.bundle" || return
  make_ uninstall DESTDIR="$work/multi" PREFIX=/usr LIBDIR=/usr/lib/gnu ||
    return
  same "$(files "$work/multi")" ""
}

check "make install DESTDIR=" installs_below_destdir
check "neap and a plain luajit in /usr/local" is_at_home
check "pkg-config in a sysroot" builds_in_a_sysroot
check "libraries in LIBDIR" keeps_libraries_elsewhere

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
