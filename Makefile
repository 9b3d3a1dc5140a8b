# SPDX-License-Identifier: MIT
# The words of the build; premake5.lua is the build.
#   make [CONFIG=release|debug|asan|tsan] [verbose=1]
#   make fuzz [FUZZ_S=600]
#   make install|uninstall [PREFIX=/usr/local] [DESTDIR=] [LIBDIR=] ...

CONFIG = release
PREMAKE := $(or $(shell command -v premake5),$(shell command -v premake4))
JOBS := $(shell nproc)
ifeq ($(filter release debug asan tsan fuzz,$(CONFIG)),)
  $(error cannot build CONFIG=$(CONFIG): release, debug, asan or tsan)
endif
OUTPUT = build$(if $(filter-out release,$(CONFIG)),/$(CONFIG))

# Where install.sh places what.
PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
DATADIR = $(PREFIX)/share
MANDIR = $(DATADIR)/man
LUADIR = $(DATADIR)/lua/5.1
export DESTDIR PREFIX BINDIR LIBDIR INCLUDEDIR DATADIR MANDIR LUADIR PYTHONDIR

# Compilers speak on stderr; what premake's makefiles say is for verbose=1.
QUIET = $(if $(verbose),,>/dev/null)
BUILD = +@$(MAKE) --no-print-directory -C build/make -j$(JOBS) \
  config=$(CONFIG) $(if $(filter fuzz,$(CONFIG)),CC=clang) $(QUIET)
C_FILES = $(wildcard runtime/*/*.[ch] bindings/*.[ch] bindings/*/*.[ch] \
  tests/c/*.[ch] tests/c/*/*.[ch] tests/native/*.[ch] tests/fuzz/*.[ch] \
  tests/bench/*.[ch] examples/*/*.c examples/*/*pp)
LUA_FILES = lua runtime tests examples docs premake5.lua
TESTS = $(basename $(notdir $(wildcard tests/c/*/test_*.c)))
FUZZERS = $(basename $(notdir $(wildcard tests/fuzz/*.c)))
BENCHES = $(basename $(notdir $(wildcard tests/bench/*.c)))

.NOTPARALLEL:
.PHONY: all tests fuzzers benches premake test fuzz bench install \
  install-rock uninstall clean lint lint-format lint-c lint-lua

# The linker looks at libneap.so for `neap`, too: it must be whole by then.
# The bundle is the modules' bytecode, which bindings/bundle.c uses.
all: premake
	$(BUILD) libneap libneap-shared
	$(BUILD) neap neap-native
	@$(OUTPUT)/bin/neap --bundle $(OUTPUT)/lib/neap.bundle \
	  '$(CURDIR)/lua' '$(CURDIR)/lua'
	@$(OUTPUT)/bin/neap docs/man.lua $(OUTPUT)/man

# With the executable that they start, without libneap.so, and with the library
# that they call by name.
tests: premake
	$(BUILD) neap neap-native signatures $(TESTS)

# Always in the configuration of their own, which is clang's.
fuzzers fuzz: override CONFIG = fuzz
fuzzers: premake
	@command -v clang >/dev/null || { echo "make: cannot find clang, for the" \
	  "fuzzers: run ./bootstrap.sh test" >&2; exit 1; }
	$(BUILD) $(FUZZERS)

benches: all
	$(if $(BENCHES),$(BUILD) signatures $(BENCHES))

premake:
	@test -n "$(PREMAKE)" || { echo "make: cannot find premake5" \
	  "or premake4: run ./bootstrap.sh build" >&2; exit 1; }
	@$(PREMAKE) --file=premake5.lua gmake $(QUIET)

# All configurations, unless CONFIG is said.
test:
	@tests/run.sh $(if $(filter command,$(origin CONFIG)),--config=$(CONFIG))

# Each fuzzer for FUZZ_S seconds; what they find is kept in build/fuzz.
FUZZ_S = 600
fuzz: fuzzers
	@tests/fuzz/run.sh --seconds=$(FUZZ_S)

lint: lint-format lint-c lint-lua

lint-format:
	clang-format --dry-run -Werror $(C_FILES)

lint-c:
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr \
	  --enable=warning,performance,portability -D_GNU_SOURCE \
	  --suppress=missingIncludeSystem -Iruntime/include -Iruntime \
	  $(filter %.c,$(C_FILES))

lint-lua:
	luacheck --quiet $(LUA_FILES)

bench: benches
	@$(OUTPUT)/bin/neap tests/bench/bench.lua

install: all
	@OUTPUT=$(OUTPUT) ./install.sh

install-rock: all
	@OUTPUT=$(OUTPUT) ./install.sh --rock

uninstall:
	@OUTPUT=$(OUTPUT) ./install.sh --uninstall

clean:
	rm -rf build
