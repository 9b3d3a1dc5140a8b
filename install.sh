#!/bin/sh
# SPDX-License-Identifier: MIT
# Copies what make has built to where it is used, or removes it:
#   install.sh [--rock | --uninstall]
# The Makefile calls it, with the folders in the environment. Files go below
# $DESTDIR, which what they contain does not mention. --rock: only what LuaRocks
# then moves to where it is used.
set -eu

case $PREFIX in
/*) ;;
*)
  echo "install.sh: cannot install to PREFIX=$PREFIX: it is not an absolute" \
    "path" >&2
  exit 2 ;;
esac

mode=${1:-}
soname=libneap.so.$(sed -n 's/.*NEAP_ABI = \([0-9]*\).*/\1/p' \
  runtime/include/neap.h)

# place MODE FROM TO
place() {
  if [ "$mode" = --uninstall ]; then
    rm -f "$DESTDIR$3"
  else
    install -D -m "$1" "$2" "$DESTDIR$3"
  fi
}

# place_tree FROM PATTERN TO: a folder that is neap's alone. What another
# version has left there goes.
place_tree() {
  rm -rf "$DESTDIR$3"
  [ "$mode" != --uninstall ] || return 0
  (cd "$1" && find . -name "$2" ! -name '*.pyc') | while read -r name; do
    place 644 "$1/$name" "$3/${name#./}"
  done
}

# The folder below PREFIX where this Python looks for modules.
python_folder() {
  python3 - "$PREFIX/" <<'END'
import site, sys
own = sys.argv[1] + "lib/python%d.%d/site-packages" % sys.version_info[:2]
found = [p for p in site.getsitepackages() if p.startswith(sys.argv[1])]
print((found + [own])[0])
END
}

place 755 "$OUTPUT/bin/neap" "$BINDIR/neap"
place 755 "$OUTPUT/bin/neap-native" "$BINDIR/neap-native"
place 755 "$OUTPUT/lib/libneap.so" "$LIBDIR/$soname"
place_tree lua/neap '*.lua' "$LUADIR/neap"
[ "$mode" != --rock ] || exit 0
place 644 "$OUTPUT/lib/libneap.a" "$LIBDIR/libneap.a"
place 644 runtime/include/neap.h "$INCLUDEDIR/neap.h"
sed -e "s|^prefix=.*|prefix=$PREFIX|" -e "s|^libdir=.*|libdir=$LIBDIR|" \
  -e "s|^includedir=.*|includedir=$INCLUDEDIR|" \
  -e "s|dir=$PREFIX/|dir=\${prefix}/|" build/lib/pkgconfig/neap.pc |
  place 644 /dev/stdin "$LIBDIR/pkgconfig/neap.pc"
for page in neap.1 neap.3 neap-loader.5; do
  place 644 "$OUTPUT/man/$page" "$MANDIR/man${page##*.}/$page"
done
place 644 bindings/neap.bash "$DATADIR/bash-completion/completions/neap"
if [ -d bindings/python/neap ] && command -v python3 >/dev/null; then
  place_tree bindings/python/neap '*.py*' "${PYTHONDIR:-$(python_folder)}/neap"
fi

bundle=$DESTDIR$BINDIR/../lib/neap.bundle # where bindings/bundle.c looks
if [ "$mode" = --uninstall ]; then
  rm -f "$DESTDIR$LIBDIR/libneap.so" "$bundle"
  exit
fi
ln -sf "$soname" "$DESTDIR$LIBDIR/libneap.so"
# The bundle has the times of the modules' files; packages have whole seconds,
# and none after this one.
[ -z "${SOURCE_DATE_EPOCH:-}" ] ||
  find "$DESTDIR$LUADIR/neap" -type f \
    -exec touch -d "@$SOURCE_DATE_EPOCH" '{}' +
[ "$DESTDIR" ] || LUADIR=$(realpath "$LUADIR")
mkdir -p "${bundle%/*}"
"$OUTPUT/bin/neap" --bundle "$bundle" "$LUADIR" "$DESTDIR$LUADIR"
[ "$DESTDIR" ] || ldconfig 2>/dev/null || true
