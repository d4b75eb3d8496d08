# Builds and checks the gateway.  "make help" lists the targets.
#
# Everything goes into build/ (build-asan/ with SAN=1): kong, which is the
# daemon and its command line in one binary, and the nginx module.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

SAN       ?=
NGINX_SRC ?=
DESTDIR   ?=
PREFIX    ?= /usr/local
NGINX     ?= /usr/sbin/nginx
CC        := gcc
CLANG     := clang
JOBS      ?= 4
Q         := $(if $(V),,@)

B := $(if $(SAN),build-asan,build)

# sources: the snapshot library is shared by both programs, main.c is the
# only file that is not part of the library the tests link
SNAPSHOT_SRCS := $(wildcard ngx_kong_module/snapshot/*.c \
                            ngx_kong_module/plugins/kong_*.c \
                            ngx_kong_module/zone/kong_*.c)
CONTROLD_SRCS := $(wildcard controld/*.c controld/*/*.c controld/*/*/*.c)
LIB_SRCS      := $(SNAPSHOT_SRCS) $(filter-out controld/main.c,$(CONTROLD_SRCS))
UNIT_SRCS     := $(wildcard t/unit/test_*.c)
FUZZ_SRCS     := $(wildcard t/fuzz/fuzz_*.c)
BENCH_SRCS    := $(wildcard scripts/bench_*.c)
MODULE_FILES  := $(wildcard ngx_kong_module/config ngx_kong_module/*.[ch] \
                            ngx_kong_module/*/*.[ch])

PACKAGES := libpq yaml-0.1 libcjson libcurl libevent libcares \
            openssl libpcre2-8 libxxhash luajit

ifeq ($(filter help clean style install-deps,$(MAKECMDGOALS)),)
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)
endif

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes \
            -Wstrict-prototypes -Wpointer-arith
SANITIZE := -fsanitize=address,undefined -fno-omit-frame-pointer
HARDEN   := -fstack-protector-strong -fstack-clash-protection \
            -D_FORTIFY_SOURCE=2

CFLAGS_ALL  := -std=gnu11 -O2 -g -fPIE $(WARNINGS) $(PKG_CFLAGS) -I. \
               -D_GNU_SOURCE $(if $(SAN),$(SANITIZE),$(HARDEN)) $(CFLAGS)
LDFLAGS_ALL := -pie -Wl,-z,relro,-z,now -Wl,--as-needed \
               $(if $(SAN),$(SANITIZE)) $(LDFLAGS)
LIBS        := $(PKG_LIBS) -lresolv -lm -lpthread

LIB_OBJS := $(LIB_SRCS:%.c=$(B)/obj/%.o)
UNIT     := $(UNIT_SRCS:t/unit/%.c=$(B)/unit/%)
FUZZ     := $(FUZZ_SRCS:t/fuzz/%.c=$(B)/fuzz/%)
BENCH    := $(BENCH_SRCS:scripts/%.c=$(B)/%)
MODULE   := $(B)/ngx_http_kong_module.so


.PHONY: all help daemon module unit fuzz bench-programs run test test-asan \
        test-only bench bench-router docs style clean install uninstall \
        install-deps install-test-deps

all: daemon module

help:
	@echo 'make               build/kong and build/ngx_http_kong_module.so'
	@echo 'make run           install what is missing, build, start a node'
	@echo 'make test          install what is missing, build, run all tests'
	@echo 'make test-asan     the same under ASan and UBSan (build-asan/)'
	@echo 'make bench         requests a second, beside plain nginx'
	@echo 'make bench-router  cost of one route match'
	@echo 'make install       DESTDIR= PREFIX=$(PREFIX)'
	@echo 'make uninstall     DESTDIR= PREFIX=$(PREFIX)'
	@echo 'make docs          docs/plugins.md from the schema tables'
	@echo 'make style         check the style of the C sources'
	@echo 'make clean         remove build/ and build-asan/'
	@echo
	@echo 'NGINX_SRC=DIR      also build the module for that nginx source tree'
	@echo 'SAN=1              build with ASan and UBSan into build-asan/'
	@echo 'V=1                show the commands'
	@echo 'T="t/cli/*.t"      make test: only these files'


# the daemon

daemon: $(B)/kong $(B)/controld

$(B)/kong: $(B)/obj/controld/main.o $(B)/libkong.a
	@echo '  LD   $@'
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@.tmp $^ $(LIBS)
	@mv $@.tmp $@

$(B)/controld: $(B)/kong
	$(Q)ln -sf kong $@

$(B)/libkong.a: $(LIB_OBJS)
	@echo '  AR   $@'
	@rm -f $@
	$(Q)ar rcs $@ $^

# SQL files are part of the program
$(B)/obj/controld/migrations/migrations_list.o \
$(B)/fuzz/obj/controld/migrations/migrations_list.o: \
    $(wildcard controld/migrations/*.sql)

$(B)/obj/%.o: %.c Makefile
	@echo '  CC   $<'
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<


# the module, for the installed nginx and for the tree in NGINX_SRC

ifneq ($(NGINX_SRC),)
NGINX_SRC_VERSION := $(shell sed -n \
    's/^.define NGINX_VERSION *"\(.*\)"/\1/p' $(NGINX_SRC)/src/core/nginx.h)
OTHER_MODULE := $(B)/nginx-$(NGINX_SRC_VERSION)/ngx_http_kong_module.so
endif

module: $(MODULE) $(OTHER_MODULE)

$(MODULE): $(MODULE_FILES) scripts/build-module
	@echo '  MOD  $@'
	$(Q)SAN=$(SAN) scripts/build-module $(B)/nginx $@

ifneq ($(NGINX_SRC),)
$(OTHER_MODULE): $(MODULE_FILES) scripts/build-module
	@echo '  MOD  $@'
	$(Q)SAN=$(SAN) scripts/build-module $(@D)/objs $@ $(NGINX_SRC)
endif


# what the tests run

unit: $(UNIT) $(B)/segment_tool

$(B)/segment_tool: $(B)/obj/t/unit/segment_tool.o $(B)/libkong.a
	@echo '  LD   $@'
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(B)/unit/%: $(B)/obj/t/unit/%.o $(B)/libkong.a
	@mkdir -p $(@D)
	@echo '  LD   $@'
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka

bench-programs: $(BENCH)

$(B)/bench_%: $(B)/obj/scripts/bench_%.o $(B)/libkong.a
	@echo '  LD   $@'
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# pages that are made from tables

$(B)/plugins_doc: $(B)/obj/scripts/plugins_doc.o $(B)/libkong.a
	@echo '  LD   $@'
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

docs: $(B)/plugins_doc
	$(B)/plugins_doc > docs/plugins.md

# fuzz targets: clang, with coverage in everything they call
FUZZ_CFLAGS := -std=gnu11 -O1 -g $(PKG_CFLAGS) -I. -D_GNU_SOURCE \
               -fsanitize=fuzzer-no-link,address,undefined \
               -fno-sanitize-recover=undefined -fno-omit-frame-pointer

fuzz: $(FUZZ)

$(B)/fuzz/obj/%.o: %.c Makefile
	@echo '  CC   $< (fuzz)'
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/fuzz/libkong.a: $(LIB_SRCS:%.c=$(B)/fuzz/obj/%.o)
	@echo '  AR   $@'
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/fuzz/fuzz_%: $(B)/fuzz/obj/t/fuzz/fuzz_%.o $(B)/fuzz/libkong.a
	@echo '  LD   $@'
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined -Wl,--as-needed \
	    -o $@ $^ $(LIBS)

# templates are the module's code: its files, a few functions in nginx's place
FUZZ_NGINX      := /usr/share/nginx/src/src
FUZZ_NGINX_INCS := $(patsubst %,-I$(FUZZ_NGINX)/%,core event event/modules \
                       os/unix http http/modules http/v2) -I$(B)/nginx
FUZZ_TEMPLATE   := $(patsubst %.c,$(B)/fuzz/obj/%.o,t/fuzz/nginx_shim.c \
                       $(wildcard ngx_kong_module/plugins/ngx_kong_lua*.c) \
                       ngx_kong_module/plugins/ngx_kong_template.c \
                       ngx_kong_module/plugins/ngx_kong_fields.c)

$(FUZZ_TEMPLATE) $(B)/fuzz/obj/t/fuzz/fuzz_template.o: $(MODULE)
$(FUZZ_TEMPLATE) $(B)/fuzz/obj/t/fuzz/fuzz_template.o: \
    FUZZ_CFLAGS += $(FUZZ_NGINX_INCS)
$(B)/fuzz/fuzz_template: $(FUZZ_TEMPLATE)

.PRECIOUS: $(B)/obj/%.o $(B)/fuzz/obj/%.o


# commands

install-deps:
	@scripts/install-deps

install-test-deps:
	@scripts/install-deps --test

run: install-deps
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@scripts/run

test: install-test-deps
	@$(MAKE) --no-print-directory -j$(JOBS) all unit fuzz $(B)/plugins_doc
	@$(MAKE) --no-print-directory test-only

test-only:
	KONG_TEST_BUILD=$(B) scripts/test -j $(JOBS) $(T)

test-asan: install-test-deps
	@$(MAKE) --no-print-directory -j$(JOBS) SAN=1 all unit build-asan/plugins_doc
	@$(MAKE) --no-print-directory SAN=1 test-only

bench: all
	@scripts/bench

bench-router: bench-programs
	@if test -x $(B)/bench_router; then $(B)/bench_router; \
	else echo 'no scripts/bench_router.c in this tree'; exit 1; fi

style:
	@scripts/check-style

clean:
	rm -rf build build-asan


# installation

BINDIR   := $(DESTDIR)$(PREFIX)/bin
MODDIR   := $(DESTDIR)$(PREFIX)/lib/kong
ETCDIR   := $(DESTDIR)/etc/kong
DOCDIR   := $(DESTDIR)$(PREFIX)/share/doc/kong
INCDIR   := $(DESTDIR)$(PREFIX)/include/kong
UNITDIR  := $(DESTDIR)$(PREFIX)/lib/systemd/system
SAMPLES  := $(filter-out %.service,$(wildcard config/*))
SERVICES := $(wildcard config/*.service config/systemd/*.service)

install: all
	install -d $(BINDIR) $(MODDIR) $(ETCDIR) $(DOCDIR)/config
	install -m 755 $(B)/kong $(BINDIR)/kong
	ln -sf kong $(BINDIR)/controld
	install -m 644 $(MODULE) $(MODDIR)/ngx_http_kong_module.so
	cp -R $(SAMPLES) $(DOCDIR)/config/
	install -m 644 README.md $(wildcard docs/*.md) $(DOCDIR)/
	cd ngx_kong_module && for header in *.h */*.h; do \
	    install -D -m 644 $$header $(abspath $(INCDIR))/$$header; done
	if test -f config/kong.conf; then \
	    install -m 644 config/kong.conf $(ETCDIR)/kong.conf.default; fi
	$(if $(SERVICES),install -d $(UNITDIR) && \
	    install -m 644 $(SERVICES) $(UNITDIR)/)

uninstall:
	rm -f $(BINDIR)/kong $(BINDIR)/controld \
	    $(MODDIR)/ngx_http_kong_module.so $(ETCDIR)/kong.conf.default \
	    $(addprefix $(UNITDIR)/,$(notdir $(SERVICES)))
	rm -rf $(DOCDIR) $(INCDIR)
	-rmdir $(MODDIR) $(ETCDIR) 2>/dev/null


-include $(shell find $(B) -name '*.d' -not -path '*/nginx*' 2>/dev/null)
