# layerbench: build, run, test. `make help` lists the targets.
#
# What runs is shown in short; `make V=1` shows whole commands.
#
# One object tree per configuration, so that objects never mix:
#   make                     build/            -O3, what is measured
#   make SANITIZE=address    build/address/    ASan + UBSan
#   make SANITIZE=thread     build/thread/     TSan
#   make SANITIZE=fuzz       build/fuzz/       clang's ASan + UBSan and what libFuzzer counts (make fuzz)
#   make ASYNC_PREFETCH=0    build/no-async/   without the async prefetch driver
#   make STATIC=1            build/static/     a program that needs no shared library
#   make CC=clang            as above, with clang
#
# CFLAGS, CXXFLAGS, CPPFLAGS, LDFLAGS are the user's, after ours: `make CFLAGS=-O2` keeps what the
# sources need.

ASYNC_PREFETCH ?= 1
SANITIZE ?=
STATIC ?= 0
CC ?= cc
CXX ?= g++

ifneq ($(filter-out address thread fuzz,$(SANITIZE)),)
$(error SANITIZE=$(SANITIZE): expected address, thread or fuzz)
endif
ifeq ($(SANITIZE),fuzz)
CC := clang
CXX := clang++
endif

BUILD := build$(if $(SANITIZE),/$(SANITIZE))$(if $(filter 0,$(ASYNC_PREFETCH)),/no-async)$(if $(filter 1,$(STATIC)),/static)

PACKAGES := jansson benchmark liburing libpcre2-8
ifeq ($(filter help clean format setup run test quick-test fuzz,$(MAKECMDGOALS)),)
ifneq ($(shell pkg-config --exists $(PACKAGES) 2>/dev/null && echo yes),yes)
$(error missing packages: run 'scripts/setup' once (it installs compilers, $(PACKAGES), gnuplot), then make again)
endif
endif

# Debian has archives of all libraries but Google Benchmark. The C library does not matter: that one is
# missing with glibc and musl, whose compiler has no C++, which Google Benchmark is made of.
STATIC_LIB := build/static/lib
ifeq ($(STATIC),1)
ifeq ($(wildcard $(STATIC_LIB)/libbenchmark.a)$(filter-out libbenchmark.a,$(shell $(CXX) -print-file-name=libbenchmark.a)),)
$(error STATIC=1: no libbenchmark.a: Debian's libbenchmark-dev has the shared library only. 'scripts/static-benchmark $(STATIC_LIB)' makes it of Debian's source package (30 s); or say where yours is: LIBRARY_PATH=FOLDER make STATIC=1)
endif
endif

V ?= 0
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
Q := $(if $(filter 0,$(V)),@)
say = $(if $(filter 0,$(V)),@echo '  $(1)')

WARN := -Wall -Wextra -Wshadow -Wvla -Wformat=2
CWARN := $(WARN) -Wstrict-prototypes -Wmissing-prototypes
OPT := -O3 -g
ifeq ($(SANITIZE),address)
OPT := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(SANITIZE),thread)
# no shared stack slots: to an array of an unrolled and instrumented loop GCC 12 gives the place of a
# variable that still lives (its bug 90348), and kernels compute wrong numbers
OPT := -O1 -g -fsanitize=thread -fno-omit-frame-pointer $(if $(findstring gcc version,$(shell $(CC) -v 2>&1)),-fstack-reuse=none)
else ifeq ($(SANITIZE),fuzz)
OPT := -O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
GIT_REVISION := $(shell git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)

# -ffp-contract=off: the same arithmetic in every file and compiler; kernels that
# want fused multiply-add say so with intrinsics.
# -fPIC and hidden: one set of objects for the program and the shared library, which exports what
# engine.h declares. -ffile-prefix-map: no folder of the build in what is built.
OUR_CPPFLAGS := -Iengine -D_GNU_SOURCE -DLB_ASYNC_PREFETCH=$(ASYNC_PREFETCH)
COMMON = $(OPT) -fPIC -fvisibility=hidden -pthread
OUR_CFLAGS = -std=c11 $(COMMON) -ffp-contract=off $(CWARN)
OUR_CXXFLAGS = -std=c++17 $(COMMON) $(WARN)
COMPILE_C = $(CC) -ffile-prefix-map=$(CURDIR)=. $(OUR_CPPFLAGS) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS)
COMPILE_CXX = $(CXX) -ffile-prefix-map=$(CURDIR)=. $(OUR_CPPFLAGS) $(CPPFLAGS) $(OUR_CXXFLAGS) $(CXXFLAGS)
PKG_CONFIG := pkg-config $(if $(filter 1,$(STATIC)),--static)
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null)
LINK = $(CXX) $(OPT) $(if $(filter 1,$(STATIC)),-static -L$(STATIC_LIB)) $(LDFLAGS)
LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null) -lm -lstdc++ -pthread

ENGINE_SRC := $(filter-out engine/tests/%,$(wildcard engine/*.c engine/*/*.c engine/*/*/*.c))
# Kernels of another processor family are left out.
MACHINE := $(shell $(CC) -dumpmachine)
ENGINE_SRC := $(if $(filter x86_64%,$(MACHINE)),$(ENGINE_SRC),$(filter-out engine/kernels/x86/%,$(ENGINE_SRC)))
ENGINE_SRC := $(if $(filter aarch64%,$(MACHINE)),$(ENGINE_SRC),$(filter-out engine/kernels/arm/%,$(ENGINE_SRC)))
HARNESS_SRC := $(filter-out harness/tests/%,$(wildcard harness/*/*.c))
HARNESS_CXX := $(wildcard harness/*/*.cc)
BENCH_SRC := $(wildcard engine/tests/bench_*.c)
TEST_SRC := $(wildcard engine/tests/test_*.c harness/tests/test_*.c)
SCRIPT_TESTS := $(wildcard engine/tests/test_*.sh harness/tests/test_*.sh)

ENGINE_OBJ := $(ENGINE_SRC:%.c=$(BUILD)/%.o)
HARNESS_OBJ := $(HARNESS_SRC:%.c=$(BUILD)/%.o) $(HARNESS_CXX:%.cc=$(BUILD)/%.o) $(BUILD)/harness/common/embedded_files.o
EMBEDDED := $(sort $(wildcard scenarios/engines/*.json plots/*.gp results/schema/*.json harness/report/report.css harness/report/report.js))
FUZZ_SRC := $(filter-out %/fuzz_replay.c,$(wildcard engine/tests/fuzz_*.c harness/tests/fuzz_*.c))
FUZZ_BIN := $(FUZZ_SRC:%.c=$(BUILD)/%)
FUZZ_SECONDS ?= 60
FUZZ_LINK := $(if $(filter fuzz,$(SANITIZE)),-fsanitize=fuzzer)
# with libFuzzer's main, or with one that runs the inputs that are there
FUZZ_MAIN := $(if $(filter fuzz,$(SANITIZE)),,$(BUILD)/engine/tests/fuzz_replay.o)
TEST_TOOLS := harness/tests/make_result.c harness/tests/burn_time.c
TEST_BIN := $(TEST_SRC:%.c=$(BUILD)/%) $(TEST_TOOLS:%.c=$(BUILD)/%) $(FUZZ_BIN)

.PRECIOUS: %.o
# Keep the objects of tests; a bare .SECONDARY would also stop the rules behind FORCE.
.SECONDARY: $(TEST_SRC:%.c=$(BUILD)/%.o) $(TEST_TOOLS:%.c=$(BUILD)/%.o) $(FUZZ_SRC:%.c=$(BUILD)/%.o) $(BUILD)/engine/tests/fuzz_replay.o
.PHONY: all help docs summaries gate setup run test fuzz fuzz-binaries quick-test test-binaries bench figures check-layering format check-format clean \
        install uninstall deb compile_commands

all: $(BUILD)/layerbench $(BUILD)/libengine.a ## build build/layerbench and build/libengine.a

help: ## list the targets
	@grep -hE '^[a-z_-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 20

setup: ## install what is missing on this machine
	@scripts/setup

# As many jobs as JOBS, unless make was called with a -j of its own.
PARALLEL = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

# One of these at a time installs and builds, where flock is there: two would write the same files.
LOCKED := $(if $(shell command -v flock 2>/dev/null),flock -o $(BUILD)/lock)

# run and test set the machine up first, then call make again with all packages there.
run: ## from nothing to a plot: set up, build, run scenarios/quick.json, draw, summarise
	@mkdir -p $(BUILD)
	@$(LOCKED) scripts/setup
	@$(LOCKED) $(MAKE) --no-print-directory $(PARALLEL) all
	@$(BUILD)/layerbench run scenarios/quick.json

test: ## set up, build, and run every test
	@mkdir -p $(BUILD)
	@$(LOCKED) scripts/setup --test
	@$(LOCKED) $(MAKE) --no-print-directory $(PARALLEL) all test-binaries
	@scripts/run-tests $(BUILD)

quick-test: ## only this room's tests: make quick-test ONLY=cache
	@mkdir -p $(BUILD)
	@$(LOCKED) $(MAKE) --no-print-directory $(PARALLEL) all test-binaries
	@scripts/run-tests $(BUILD) $(ONLY)

test-binaries: $(TEST_BIN)

fuzz: ## give every fuzz target FUZZ_SECONDS (60): make fuzz FUZZ_SECONDS=600 ONLY=model
	@scripts/setup --fuzz
	@$(MAKE) --no-print-directory $(PARALLEL) SANITIZE=fuzz fuzz-binaries
	@scripts/fuzz build/fuzz $(FUZZ_SECONDS) $(ONLY)

fuzz-binaries: $(FUZZ_BIN)

bench: $(BENCH_SRC:%.c=$(BUILD)/%) ## build and run the benchmarks of single rooms
	@for b in $^; do echo "$$b" && $$b || exit 1; done

$(BUILD)/layerbench: $(BUILD)/harness/main.o $(HARNESS_OBJ) $(BUILD)/libengine.a
	$(call say,link $@)
	$(Q)$(LINK) -o $@ $^ $(LIBS) $(LDLIBS)

$(BUILD)/libengine.a: $(ENGINE_OBJ)
	@rm -f $@
	$(call say,ar   $@)
	$(Q)ar rcs $@ $^

$(BUILD)/engine/tests/fuzz_%: $(BUILD)/engine/tests/fuzz_%.o $(FUZZ_MAIN) $(BUILD)/libengine.a
	$(call say,link $@)
	$(Q)$(LINK) $(FUZZ_LINK) -o $@ $^ $(LIBS) $(LDLIBS)

$(BUILD)/harness/tests/fuzz_%: $(BUILD)/harness/tests/fuzz_%.o $(FUZZ_MAIN) $(HARNESS_OBJ) $(BUILD)/libengine.a
	$(call say,link $@)
	$(Q)$(LINK) $(FUZZ_LINK) -o $@ $^ $(LIBS) $(LDLIBS)

$(BUILD)/engine/tests/%: $(BUILD)/engine/tests/%.o $(BUILD)/libengine.a
	$(call say,link $@)
	$(Q)$(LINK) -o $@ $^ $(LIBS) $(LDLIBS)

$(BUILD)/harness/tests/%: $(BUILD)/harness/tests/%.o $(HARNESS_OBJ) $(BUILD)/libengine.a
	$(call say,link $@)
	$(Q)$(LINK) -o $@ $^ $(LIBS) $(LDLIBS)

# Instruction sets are per file, never for the whole program: chosen at run time.
$(BUILD)/%_avx2.o: OUR_CFLAGS += -mavx2 -mfma -mf16c
$(BUILD)/%_avx512.o: OUR_CFLAGS += -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vbmi -mavx512vnni -mgfni -mfma -mf16c
ifeq ($(SANITIZE),fuzz) # minutes of compiling; fuzz targets run the portable ones
$(BUILD)/engine/kernels/x86/%.o: OPT := -O1 -g
endif
$(BUILD)/%_neon.o: OUR_CFLAGS += -march=armv8.2-a+dotprod
$(BUILD)/harness/%.o: OUR_CPPFLAGS += -Iharness $(PKG_CFLAGS)

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,cc   $<)
	$(Q)$(COMPILE_C) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,c++  $<)
	$(Q)$(COMPILE_CXX) -MMD -MP -c -o $@ $<

# Rebuild everything when compiler or flags change, and nothing otherwise.
FLAGS_NOW := $(COMPILE_C) $(COMPILE_CXX)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_NOW)' | cmp -s - $@ || echo '$(FLAGS_NOW)' > $@
FORCE:

# Files that the program carries with it (harness/common/embedded.h).
$(BUILD)/harness/common/embedded_files.c: scripts/embed $(EMBEDDED) $(BUILD)/embedded.list
	@mkdir -p $(@D)
	$(Q)scripts/embed $(EMBEDDED) > $@
$(BUILD)/embedded.list: FORCE
	@mkdir -p $(@D)
	@echo '$(EMBEDDED)' | cmp -s - $@ || echo '$(EMBEDDED)' > $@
$(BUILD)/harness/common/embedded_files.o: $(BUILD)/harness/common/embedded_files.c $(BUILD)/flags
	$(Q)$(COMPILE_C) -Iharness -c -o $@ $<

# What the result records about the build; rewritten only when it changes.
$(BUILD)/build_info.h: FORCE
	@mkdir -p $(@D)
	@scripts/build-info '$(CC)' '$(strip $(OUR_CFLAGS) $(CFLAGS))' '$(GIT_REVISION)' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(BUILD)/harness/machine/environment.o: $(BUILD)/build_info.h
$(BUILD)/harness/machine/environment.o: OUR_CPPFLAGS += -I$(BUILD)

BASELINES := $(sort $(wildcard results/baselines/*/result.json))
figures: all ## redraw the figures of the committed results, without measuring
	@[ -n "$(BASELINES)" ] || echo "figures: no result under results/baselines"
	@for result in $(BASELINES); do $(BUILD)/layerbench plot $$result || exit; done

summaries: all ## write the summaries of the committed results anew, without measuring
	@scripts/summaries $(BUILD)/layerbench

gate: all ## has the build become slower than a git ref? make gate BASE=main [GATE_OPTIONS=...]
	@scripts/ci/gate-against $(BASE) $(GATE_OPTIONS)

docs: all ## write the schema and the tables of the documents from the program's own tables
	@scripts/docs $(BUILD)/layerbench

check-layering: ## the dependency law between rooms, and unique file names
	@scripts/check-layering

format: ## format all C with .clang-format
	clang-format -i $$(git ls-files '*.c' '*.h' '*.cc')

check-format: ## fail if a file is not formatted
	clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h' '*.cc')

compile_commands: ## write compile_commands.json for editors
	@scripts/compile-commands '$(COMPILE_C) -Iharness $(PKG_CFLAGS)' $(ENGINE_SRC) $(HARNESS_SRC) harness/main.c $(TEST_SRC) $(TEST_TOOLS) > compile_commands.json

# The shared library, and an archive for those who link it: one object, in which only what engine.h
# declares is left to see.
VERSION := $(shell sed -n 's/.*LAYERBENCH_VERSION "\(.*\)"/\1/p' harness/common/version.h)
ENGINE_PACKAGES := liburing libpcre2-8
$(BUILD)/package/libengine.so.0: $(ENGINE_OBJ)
	@mkdir -p $(@D)
	$(call say,link $@)
	$(Q)$(CC) -shared -Wl,-soname,$(@F) -Wl,-z,defs $(OPT) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs $(ENGINE_PACKAGES)) -lm -pthread
OBJCOPY ?= objcopy
$(BUILD)/package/libengine.a: $(ENGINE_OBJ)
	@mkdir -p $(@D) && rm -f $@
	$(call say,ar   $@)
	$(Q)$(CC) -r -nostdlib -o $(@D)/engine.o $^
	$(Q)$(OBJCOPY) --localize-hidden --strip-debug $(@D)/engine.o
	$(Q)ar rcs $@ $(@D)/engine.o && rm $(@D)/engine.o
$(BUILD)/package/man1: $(BUILD)/layerbench $(wildcard scripts/manual/*)
	$(call say,man  $(@D))
	$(Q)scripts/manual/write $< $(@D)/manual && rm -rf $@ $(@D)/completions && mv $(@D)/manual/* $(@D) && rmdir $(@D)/manual
$(BUILD)/package/layerbench.pc: scripts/layerbench.pc.in harness/common/version.h FORCE
	@mkdir -p $(@D)
	@sed 's,@PREFIX@,$(PREFIX),; s,@LIBDIR@,$(LIBDIR),; s,@VERSION@,$(VERSION),; s,@PACKAGES@,$(ENGINE_PACKAGES),' $< > $@

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
PACKAGED := all $(addprefix $(BUILD)/package/,libengine.so.0 libengine.a man1 layerbench.pc)
install: $(PACKAGED) ## install to $(DESTDIR)$(PREFIX): program, libraries, header, scenarios, manual
	@scripts/install $(BUILD) '$(DESTDIR)' '$(PREFIX)' '$(LIBDIR)'

uninstall: ## remove what install has put there
	@scripts/install --remove '$(DESTDIR)' '$(PREFIX)'

deb: $(PACKAGED) ## Debian packages, in build/deb
	@scripts/package-deb $(BUILD) $(VERSION)

clean: ## remove everything that was built
	rm -rf build compile_commands.json

-include $(shell find $(BUILD) -name '*.d' -type f 2>/dev/null)
