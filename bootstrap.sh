#!/bin/sh
# SPDX-License-Identifier: MIT
# From a bare Debian to a running neap: installs what is missing, builds, and
#   ./bootstrap.sh [demo [ARG...]]   runs the Fashion-MNIST example
#   ./bootstrap.sh test              runs all tests
#   ./bootstrap.sh build             does no more
# Where nothing is missing and all is built, it says nothing of its own.
cd "$(dirname "$0")" || exit 1

BUILD="gcc libc6-dev libffi-dev libluajit-5.1-dev lua-argparse make pkg-config
  premake4 zlib1g-dev"
DEMO="dataset-fashion-mnist"
TEST="clang clang-format cppcheck g++ groff-base libclang-rt-dev libcmocka-dev
  liblmdb0 libsndfile1 libspng0 libsqlite3-0 libturbojpeg0 libwebp7 libzstd1
  lua-busted lua-check lua-cjson lua-cqueues lua-http lua-luaossl luajit man-db
  mandoc openssl python3-numpy spin"

what=${1:-demo}
[ $# -eq 0 ] || shift
case $what in
demo) packages="$BUILD $DEMO" ;;
test) packages="$BUILD $DEMO $TEST" ;;
build) packages=$BUILD ;;
*)
  echo "bootstrap.sh: usage: ./bootstrap.sh [demo|test|build] [ARG...]" >&2
  exit 2 ;;
esac

# Runs a command whose words matter only if it fails.
quietly() {
  said=$("$@" 2>&1 </dev/null) && return
  printf '%s\n' "$said" "bootstrap.sh: failed: $*" >&2
  exit 1
}

# Those of the packages that are not installed; all, where there is no dpkg.
missing() {
  for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null |
      grep -qx installed || echo "$package"
  done
}

install_packages() {
  if ! command -v apt-get >/dev/null; then
    echo "bootstrap.sh: cannot install packages without apt-get; install" \
      "what Debian calls" $packages "and run make" >&2
    exit 1
  fi
  as_root=
  [ "$(id -u)" -eq 0 ] || as_root=sudo
  echo "bootstrap.sh: installing" $wanted >&2
  quietly $as_root apt-get update
  quietly $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y \
    --no-install-recommends $wanted
}

wanted=$(missing)
[ -z "$wanted" ] || install_packages

case $what in
test)
  exec make --no-print-directory test "$@" ;;
demo)
  quietly make
  exec build/bin/neap examples/fashion_mnist.lua "$@" ;;
build)
  quietly make ;;
esac
