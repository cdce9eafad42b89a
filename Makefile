# SampleMind. `make demo` and `make check` do all set-up on a fresh Debian 12; `make help` lists the rest.
ifeq ($(origin CC),default)
CC       := gcc
endif
ifeq ($(origin CXX),default)
CXX      := g++
endif
PREFIX   ?= /usr/local
SAN      ?=#              address,undefined | thread: sanitizers, built apart
V        ?=#              1: show the commands
ONLY     ?=#              make check ONLY="base nn/conv": only tests whose name has one of these words
TIME     ?= 60#           seconds of each fuzz target
CFLAGS   ?= -O3 -g
comma    := ,
BUILD    := build/$(notdir $(firstword $(CC)))$(if $(SAN),-$(subst $(comma),-,$(SAN)))
VERSION  := $(shell sed -n 's/.*return "\([0-9.]*\)".*/\1/p' src/base/version.c)
SONAME   := libsamplemind.so.$(firstword $(subst ., ,$(VERSION)))

PACKAGES := sndfile libmpg123 soxr libebur128 kissfft-float jansson libcurl libxxhash libcrypto zlib sqlite3
FOUND    := $(shell pkg-config --exists $(PACKAGES) 2>/dev/null && echo yes)
WARN     := -Wall -Wextra -Werror=implicit-function-declaration -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wwrite-strings
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer) $(if $(findstring undefined,$(SAN)),-fno-sanitize-recover=undefined)
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -Isrc -Iinclude -Itests $(WARN) $(CFLAGS) -fPIC -fvisibility=hidden -fno-math-errno -ffp-contract=off \
              -pthread $(SAN_FLAGS) $(EXTRA) $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
LDLIBS   := -Wl,--as-needed $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -ldnnl -lgomp -lbz2 -ldl -lm -pthread

SOURCES  := $(sort $(wildcard src/*/*.c src/*/*/*.c))
LIB_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(filter-out src/cli/%,$(SOURCES)))
CLI_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(filter src/cli/%,$(SOURCES)))
SUPPORT  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/support/*.c))
TESTS    := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/*/test_*.c tests/*/*/test_*.c)))
# what is checked by a script depends on the sources, not on the sanitizer
SCRIPTED := $(if $(SAN),,$(sort $(wildcard tests/*/test_*.sh)))
FUZZERS  := $(patsubst fuzz/fuzz_%.c,%,$(sort $(wildcard fuzz/fuzz_*.c)))
# each fuzz target also runs over its corpus in `make check`
REPLAYS  := $(FUZZERS:%=$(BUILD)/tests/fuzz/test_%)
EXAMPLES := $(patsubst %.c,$(BUILD)/%,$(wildcard examples/*.c))
LIBRARY  := $(BUILD)/libsamplemind.a
SHARED   := $(if $(SAN),,$(BUILD)/libsamplemind.so)
say       = $(if $(V),,@echo "  $(1) $(2)";)

all: $(BUILD)/samplemind $(SHARED) ## build the program, ./samplemind, and the libraries
	$(if $(SAN),,@cmp -s $< samplemind || cp -f $< samplemind)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(FOUND),,@echo "packages are missing: run scripts/setup" >&2; exit 1)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# the weights that ship are part of this object, which no compiler's dependency file tells
$(BUILD)/src/models/shipped.o: models $(wildcard models/*.safetensors)
$(BUILD)/src/models/shipped.o: ALL_CFLAGS += -D'SM_SHIPPED(X)=$(foreach m,$(basename $(notdir $(wildcard models/*.safetensors))),X($(subst -,_,$m),"$m"))'

$(LIBRARY): $(LIB_OBJ)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/libcli.a: $(filter-out %/main.o,$(CLI_OBJ))
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/libsamplemind.so: $(LIB_OBJ)
	$(call say,LD,$@)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,-z,defs $(LDFLAGS) $^ -o $@ $(LDLIBS)

$(BUILD)/samplemind: $(BUILD)/src/cli/main.o $(BUILD)/libcli.a $(LIBRARY)
	$(call say,LD,$@)$(CC) $(SAN_FLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS)

# what a user of the library writes sees nothing but the public header
$(EXAMPLES): $(BUILD)/%: %.c $(LIBRARY) include/samplemind.h
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -std=c11 -Iinclude $(WARN) $(CFLAGS) $(SAN_FLAGS) $< $(LIBRARY) -o $@ $(LDLIBS)

# ---- tests: one program a file; make test/base/json builds and runs tests/base/test_json.c
$(filter $(BUILD)/tests/cli/%,$(TESTS)): $(BUILD)/libcli.a
$(TESTS): %: %.o $(SUPPORT) $(LIBRARY)
	$(call say,LD,$@)$(CC) $(SAN_FLAGS) $(LDFLAGS) $(filter %.o,$^) $(filter %/libcli.a,$^) $(LIBRARY) -o $@ -lcmocka $(LDLIBS)

$(REPLAYS): $(BUILD)/tests/fuzz/test_%: $(BUILD)/fuzz/fuzz_%.o $(BUILD)/fuzz/replay.o $(SUPPORT) $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(SAN_FLAGS) $(LDFLAGS) $^ -o $@ -lcmocka $(LDLIBS)

RUN_TESTS = SM_BUILD=$(abspath $(BUILD)) SM_PROGRAM=$(abspath $(BUILD)/samplemind) SM_SHARED="$${SM_SHARED:-$(abspath ../shared)}" \
            SM_SAN=$(SAN) CC="$(CC)" CXX="$(CXX)" scripts/run-tests
chosen    = $(if $(ONLY),$(foreach t,$(1),$(if $(strip $(foreach w,$(ONLY),$(findstring $(w),$(subst test_,,$(t:$(BUILD)/%=%))))),$(t))),$(1))

test/%: FORCE
	@$(MAKE) --no-print-directory $(BUILD)/tests/$(dir $*)test_$(notdir $*) $(BUILD)/samplemind
	@$(RUN_TESTS) --show $(BUILD)/tests/$(dir $*)test_$(notdir $*)

check: ## install what is missing, build, run all tests; SAN=... with sanitizers, ONLY="words" a part
	@scripts/setup
	@$(MAKE) --no-print-directory run-check

run-check: all $(EXAMPLES) $(call chosen,$(TESTS) $(REPLAYS))
	@$(RUN_TESTS) $(call chosen,$(TESTS) $(REPLAYS) $(SCRIPTED))

memcheck: all $(call chosen,$(TESTS)) ## the test programs under valgrind; ONLY="words" a part
	@SM_UNDER="valgrind -q --suppressions=tests/support/valgrind.supp --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite" $(RUN_TESTS) $(call chosen,$(TESTS))

demo: ## install what is missing, build, analyse the sounds in examples/
	@scripts/setup
	@$(MAKE) --no-print-directory all
	./samplemind analyze --table examples
	@echo "the whole of one record: ./samplemind analyze --json examples/kick.wav; models: ./samplemind models list"

train: ## train the classifier that ships, from free data (TRAIN_DATA=labels.csv, or it is fetched): models/README.md
	training/train.sh

bench: all $(BUILD)/bench/nn_layers $(BUILD)/bench/train_step $(BUILD)/bench/vectors ## time models, front ends, networks by step, training, search through vectors (3 GB in build/, minutes)
	./samplemind bench
	$(BUILD)/bench/nn_layers --steps
	$(BUILD)/bench/train_step cnn 16
	$(BUILD)/bench/train_step residual 16
	@mkdir -p $(BUILD)/bench/data
	$(BUILD)/bench/vectors $(BUILD)/bench/data 100000 512 1
	$(BUILD)/bench/vectors $(BUILD)/bench/data 1000000 512 2

# scores and measurements that are not part of the program: make build/gcc/bench/score_loops
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(LIBRARY)
	$(call say,LD,$@)$(CC) $(SAN_FLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS)

# ---- fuzzing: clang's libFuzzer over fuzz/fuzz_NAME.c; make fuzz TIME=600 FUZZERS="safetensors onnx"
FUZZ_BUILD = build/fuzz
fuzz: ## fuzz every reader for TIME seconds; reports executions and coverage
	@$(MAKE) --no-print-directory CC=clang SAN=address,undefined EXTRA=-fsanitize=fuzzer-no-link CFLAGS="-O1 -g" \
	    BUILD=$(FUZZ_BUILD) $(FUZZERS:%=$(FUZZ_BUILD)/fuzz_%)
	@scripts/fuzz $(FUZZ_BUILD) $(TIME) $(FUZZERS)

$(BUILD)/fuzz_%: $(BUILD)/fuzz/fuzz_%.o $(LIBRARY)
	$(call say,LD,$@)$(CC) $(SAN_FLAGS) -fsanitize=fuzzer $^ -o $@ $(LDLIBS)

# ---- care
lint: ## layering, format, sizes of files
	@scripts/check-layers
	@scripts/check-format

format: ## clang-format all of ours
	clang-format -i $$(git ls-files -co --exclude-standard '*.c' '*.h')

# ---- installation
DEST = $(DESTDIR)$(PREFIX)
install: all ## PREFIX=/usr/local DESTDIR=
	install -d $(DEST)/bin $(DEST)/lib/pkgconfig $(DEST)/include $(DEST)/share/man/man1 $(DEST)/share/zsh/site-functions \
	    $(DEST)/share/bash-completion/completions $(DEST)/share/fish/vendor_completions.d
	install -m 755 $(BUILD)/samplemind $(DEST)/bin/
	install -m 644 $(LIBRARY) $(DEST)/lib/
	install -m 755 $(BUILD)/libsamplemind.so $(DEST)/lib/libsamplemind.so.$(VERSION)
	ln -sf libsamplemind.so.$(VERSION) $(DEST)/lib/$(SONAME)
	ln -sf $(SONAME) $(DEST)/lib/libsamplemind.so
	install -m 644 include/samplemind.h $(DEST)/include/
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: samplemind' 'Description: know, find, split and make sounds' 'Version: $(VERSION)' \
	    'Cflags: -I$${prefix}/include' 'Libs: -L$${prefix}/lib -lsamplemind' 'Libs.private: $(LDLIBS)' > $(DEST)/lib/pkgconfig/samplemind.pc
	$(BUILD)/samplemind help --man > $(DEST)/share/man/man1/samplemind.1
	$(BUILD)/samplemind completion bash > $(DEST)/share/bash-completion/completions/samplemind
	$(BUILD)/samplemind completion zsh > $(DEST)/share/zsh/site-functions/_samplemind
	$(BUILD)/samplemind completion fish > $(DEST)/share/fish/vendor_completions.d/samplemind.fish

uninstall: ## remove what install put there
	rm -f $(DEST)/bin/samplemind $(DEST)/lib/libsamplemind.* $(DEST)/include/samplemind.h $(DEST)/lib/pkgconfig/samplemind.pc \
	    $(DEST)/share/man/man1/samplemind.1 $(DEST)/share/bash-completion/completions/samplemind \
	    $(DEST)/share/zsh/site-functions/_samplemind $(DEST)/share/fish/vendor_completions.d/samplemind.fish

clean: ## remove what was built
	rm -rf build samplemind

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

FORCE:
.PHONY: all check run-check memcheck demo bench train fuzz lint format install uninstall clean help FORCE
.PRECIOUS: $(BUILD)/%.o
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
