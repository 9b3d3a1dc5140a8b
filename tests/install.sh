#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs neap below a temporary folder, and uses it from there while the tree
# that it was built in is out of reach.
cd "$(dirname "$0")/.." || exit 1
. tests/apart.sh

[ "$unshare" ] ||
  echo "NOT RUN: tests/install.sh in a namespace of its own: unshare fails"

own=$work/own
stage=$work/stage
at_home="mount --bind stage/usr/local /usr/local"

# The tree is built already, and other tests use it.
make_() {
  make --no-print-directory -o all "$@"
}

files() {
  (cd "$1" && find . -type f -o -type l) | sed "
    s|^\./||
    s|^share/lua/5.1/neap/.*/.*|share/lua/5.1/neap/*/*|
    s|^\(lib/python3\)[^/]*/[a-z]*-packages/neap/.*|\1/neap/*|" | sort -u
}

expected="bin/neap
bin/neap-native
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

# -- PREFIX ------------------------------------------------------------------

installs_below_prefix() {
  mkdir -p "$own/share/lua/5.1/neap" || return
  echo "of a version before" >"$own/share/lua/5.1/neap/stale.lua"
  make_ install PREFIX="$own" || return
  same "$(files "$own")" "$expected"
}

neap_runs() {
  same "$(WANTS_BUNDLE=1 apart : "$own/bin/neap" use.lua "$tree")" \
    "$own/share/lua/5.1"
}

luajit_runs() {
  path="$own/share/lua/5.1/?.lua;$own/share/lua/5.1/?/init.lua;;"
  same "$(LUA_PATH=$path apart : luajit use.lua "$tree")" "$own/share/lua/5.1"
}

# builds HOST COMMAND: a host that runs and says which version it uses.
builds() {
  PKG_CONFIG_PATH=$own/lib/pkgconfig apart : sh -c "$2 -o $1" || return
  same "$(LD_LIBRARY_PATH=$own/lib apart : "./$1")" "$greeting"
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
    apart : python3 -c 'import neap'
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

# -- DESTDIR -----------------------------------------------------------------

installs_below_destdir() {
  SOURCE_DATE_EPOCH=1700000000 make_ install DESTDIR="$work/fresh" || return
  mkdir "$stage" || return # as through a package, which keeps whole seconds
  tar -C "$work/fresh" -c . | tar -C "$stage" -xp || return
  same "$(files "$stage/usr/local")" "$expected" &&
    ! grep -rlF -e "$work" -e "$tree" "$stage/usr/local/share" \
      "$stage/usr/local/lib/neap.bundle" "$stage/usr/local/lib/pkgconfig"
}

is_at_home() {
  same "$(WANTS_BUNDLE=1 apart "$at_home" neap use.lua "$tree")" \
    "/usr/local/share/lua/5.1" &&
    same "$(apart "$at_home" luajit use.lua "$tree")" \
      "/usr/local/share/lua/5.1"
}

builds_in_a_sysroot() {
  flags=$(PKG_CONFIG_SYSROOT_DIR=$stage \
    PKG_CONFIG_PATH=$stage/usr/local/lib/pkgconfig \
    pkg-config --cflags --libs neap) &&
    same "$(echo $flags)" \
      "-I$stage/usr/local/include -L$stage/usr/local/lib -lneap"
}

keeps_libraries_elsewhere() {
  folders="DESTDIR=$work/multi PREFIX=/usr LIBDIR=/usr/lib/gnu"
  make_ install $folders || return
  same "$(PKG_CONFIG_PATH=$work/multi/usr/lib/gnu/pkgconfig \
    pkg-config --variable=libdir neap)" /usr/lib/gnu &&
    same "$(cd "$work/multi/usr/lib" && echo gnu/libneap.* neap.*)" \
      "gnu/libneap.a gnu/libneap.so gnu/$soname neap.bundle" || return
  make_ uninstall $folders || return
  same "$(files "$work/multi")" ""
}

check "make install DESTDIR=" installs_below_destdir
[ -z "$unshare" ] || check "neap and a plain luajit in /usr/local" is_at_home
check "pkg-config in a sysroot" builds_in_a_sysroot
check "libraries in LIBDIR" keeps_libraries_elsewhere

finish
