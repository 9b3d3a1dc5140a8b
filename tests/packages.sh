#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Debian packages and the rock in a copy of the tree, and uses what
# they install while the tree and its copy are out of reach.
cd "$(dirname "$0")/.." || exit 1
. tests/apart.sh

copy=$work/copy/neap
rock=$work/rock
at_home="mount -t overlay overlay -o lowerdir=$work/root/usr:/usr /usr &&
  mount -t tmpfs none copy"

# What the tree has, without what is built.
copy_tree() {
  mkdir -p "$copy"
  tar --exclude=./build --exclude=./.git -c . | tar -C "$copy" -x
}

names_fit() {
  grep -x "Package: libneap${soname##*.}" debian/control || return
  [ ! -d bindings/python/neap ] ||
    grep -x "Package: python3-neap" debian/control || return
  same "$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)" \
    "$(sed -n 's/^return "\(.*\)"/\1/p' lua/neap/base/version.lua)"
}

# -- Debian ------------------------------------------------------------------

builds_packages() {
  (cd "$copy" && dpkg-buildpackage -us -uc -b) || return
  for package in $(sed -n 's/^Package: //p' debian/control); do
    dpkg-deb -x "$work/copy/${package}"_[0-9]*.deb "$work/root" || return
  done
  same "$(cd "$work/root/usr" && find . -name 'libneap*' -type f | sort)" \
    "./lib/$(gcc -print-multiarch)/libneap.a
./lib/$(gcc -print-multiarch)/$soname"
}

packages_run() {
  same "$(WANTS_BUNDLE=1 apart "$at_home" neap use.lua "$tree")" \
    /usr/share/lua/5.1 &&
    same "$(apart "$at_home" luajit use.lua "$tree")" /usr/share/lua/5.1 &&
    same "$(apart "$at_home" sh -c 'cc host.c -o host \
      $(pkg-config --cflags --libs neap) && ./host')" "$greeting"
}

# -- LuaRocks ----------------------------------------------------------------

builds_a_rock() {
  (cd "$copy" &&
    luarocks --lua-version=5.1 --tree="$rock" make --deps-mode=none)
}

rock_runs() {
  modules=$rock/share/lua/5.1
  same "$(apart : "$rock/bin/neap" use.lua "$tree")" "$modules" &&
    same "$(LUA_PATH="$modules/?.lua;$modules/?/init.lua;;" \
      apart : luajit use.lua "$tree")" "$modules"
}

check "the names and versions of packages" names_fit
copy_tree
if ! missing=$(dpkg-checkbuilddeps 2>&1); then
  echo "NOT RUN: the Debian packages: ${missing##*error: }"
else
  check "dpkg-buildpackage" builds_packages
  if [ "$unshare" ] && apart "$at_home" true 2>/dev/null; then
    check "what the packages install" packages_run
  else
    echo "NOT RUN: what the packages install: no overlay can be mounted"
  fi
fi
if ! command -v luarocks >/dev/null; then
  echo "NOT RUN: the rock: cannot find luarocks"
else
  check "luarocks make" builds_a_rock
  check "what LuaRocks installs" rock_runs
fi

finish
