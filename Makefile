# SampleMind. `make demo` and `make check` do all set-up on a fresh Debian 12; `make help` lists the rest.
ifeq ($(origin CC),default)
CC       := gcc
endif
ifeq ($(origin CXX),default)
CXX      := g++
endif
SAN      ?=
V        ?=
BUILD    := build/$(if $(SAN),san-$(subst $(comma),-,$(SAN)),$(notdir $(CC)))
comma    := ,
PACKAGES := sndfile soxr libebur128 kissfft-float jansson libcurl libxxhash libcrypto zlib
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wwrite-strings
CFLAGS   ?= -O3 -g
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -Isrc -Iinclude $(WARN) $(CFLAGS) -fPIC -fvisibility=hidden -fno-math-errno -ffp-contract=off \
              -pthread $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined) $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
LDLIBS   := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -ldnnl -lbz2 -ldl -lm -pthread
LDFLAGS  += $(if $(SAN),-fsanitize=$(SAN))

SOURCES  := $(sort $(wildcard src/*/*.c src/*/*/*.c))
LIB_SRC  := $(filter-out src/cli/%,$(SOURCES))
CLI_SRC  := $(filter src/cli/%,$(SOURCES))
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
CLI_OBJ  := $(CLI_SRC:%.c=$(BUILD)/%.o)
TESTS    := $(patsubst tests/%.c,%,$(sort $(wildcard tests/*/test_*.c)))
SUPPORT  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/support/*.c))

all: samplemind

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC $<";)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libsamplemind.a: $(LIB_OBJ)
	@rm -f $@ && ar rcs $@ $^

$(BUILD)/samplemind: $(CLI_OBJ) $(BUILD)/libsamplemind.a
	$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS)

samplemind: $(BUILD)/samplemind
	@cp -f $< $@

# one test program a file: make test/base/json builds and runs tests/base/test_json.c
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(SUPPORT) $(BUILD)/libsamplemind.a
	$(CC) $(LDFLAGS) $^ -o $@ -lcmocka $(LDLIBS)

test/%: FORCE
	@$(MAKE) --no-print-directory $(BUILD)/tests/$(dir $*)test_$(notdir $*)
	@$(BUILD)/tests/$(dir $*)test_$(notdir $*)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

FORCE:
.PHONY: all format FORCE
.PRECIOUS: $(BUILD)/%.o $(BUILD)/tests/%
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
