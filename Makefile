# `make` alone lists what there is to make. Everything but `install` stays in this folder.

MODULE := github.com/sublet-hpc/sublet

# Tools of the development, at exact versions; Go fetches and caches them.
GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOFUMPT       := go run mvdan.cc/gofumpt@v0.12.0
GOTESTSUM     := go run gotest.tools/gotestsum@v1.13.0

# Yours to set: other compilers, another MPI's wrappers, where to install.
ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
MPICC   ?= mpicc
# The launcher that is called as the wrapper is: mpirun.mpich beside mpicc.mpich.
MPIRUN  ?= $(if $(filter mpicc%,$(notdir $(MPICC))),$(filter-out ./,$(dir $(MPICC)))$(patsubst mpicc%,mpirun%,$(notdir $(MPICC))),mpirun)
PREFIX  ?= /usr/local
DESTDIR ?=

CFLAGS   ?= -O3 -g
CXXFLAGS ?= -O2
WARNINGS := -Wall -Wextra -Werror

# Runs a command with the flags of this system's MPI and libfabric.
MPI := scripts/with-mpi

# Open MPI refuses root unless told twice, and more ranks than cores unless told once.
MPIRUN_FLAGS = $(if $(findstring Open MPI,$(shell $(MPIRUN) --version 2>&1)),--oversubscribe)
ifeq ($(shell id -u),0)
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
endif

export CC CXX MPICC MPIRUN

# Go would ask git about every program it links, and fail where git will not answer (a checkout of
# another user's).
export GOFLAGS := $(GOFLAGS) -buildvcs=false

# The version is stamped from a release's tag; between releases it is the one in the source.
TAG     := $(shell git describe --tags --exact-match --match 'v*' 2>/dev/null)
LDFLAGS := $(if $(TAG),-ldflags "-X $(MODULE)/internal/version.Version=$(TAG:v%=%)")

# The tests that start programs, which users, machines and MPIs can treat differently.
PACKAGES ?= ./offload/... ./executors/... ./internal/hosts ./cmd/... ./apps/...

# The tests that count and time, which take long and want an idle machine.
ENDURING := ./offload ./internal/hosts ./resources/server ./apps/jacobi ./apps/blackscholes ./apps/blackscholes/portfolio ./apps/blackscholes/shares ./apps/internal/pricing

PROGRAMS  := bin/sublet bin/sublet-executor bin/sublet-invoke bin/sublet-bench bin/jacobi bin/blackscholes bin/pingpong
LIBRARIES := bin/libjacobi.so bin/libblackscholes.so bin/libfunctions.so bin/libbench.so
HEADER    := build/include/sublet/function.h

MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.PHONY: help deps build demo bench test endurance integration vet race sanitize fuzz rdma-lab rdma-lab-test slurm-lab soak lint fmt install clean force

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## install the system packages that are missing (apt), or name them
	@scripts/deps.sh

build: $(PROGRAMS) $(LIBRARIES) $(HEADER) ## build all programs and function libraries into bin/

demo: build ## solve a system under mpirun with half of the rows on leased executors
	@$(MPIRUN) $(MPIRUN_FLAGS) -n 1 bin/jacobi --size 2000 --offload 50 --compare

bench: build ## measure everything, into build/bench: every sample, tables and figures (minutes; on a quiet machine)
	@MPIRUN="$(MPIRUN)" scripts/bench bin build/bench

test: build ## run all tests, after vet
	@$(MAKE) vet
	@$(call run_all,./...)

# make test runs the same tests a few times each.
endurance: | deps ## run in full what make test runs briefly: kills, a million calls, thousands of leases
	@$(MPI) scripts/endurance $(ENDURING)

integration: | deps ## run the tests that start programs alone, or those of PACKAGES (SHORT=1: over fewer transports)
	@$(call run_all,$(PACKAGES))

vet: | deps ## run go vet
	@$(MPI) go vet ./...

# What is built with these ends at the first wrong access to memory, undefined behaviour, or leak. Left
# out are tests that take long and go ways that others go as well, and one that holds the C to a time.
SANITIZERS   := -fsanitize=address,undefined,bounds-strict -fno-sanitize-recover=all -fno-omit-frame-pointer
SANITIZED     = env CGO_CFLAGS="-g -O2 $(SANITIZERS)" CGO_LDFLAGS="$(SANITIZERS)" CFLAGS="$(SANITIZERS)" CXXFLAGS="$(SANITIZERS)" $(MPI)
SANITIZE_NOT := ^(TestLargest|TestManyInvocations|TestOrderAndPipelining|TestSharedMemoryWithoutCopyingAcross|TestAwkwardProvider|TestFarResponseIsTakenAtOnce)$$
sanitize: TESTER := $(SANITIZED) build/tools/gotestsum
sanitize: | deps ## run the tests of the C under the address, leak and undefined behaviour sanitizers
	@GOBIN=$(CURDIR)/build/tools go install $(lastword $(GOTESTSUM))
	@$(call run_tests,-asan -skip '$(SANITIZE_NOT)',./internal/fabric ./apps/jacobi/linear ./apps/internal/pricing)

# An input that breaks something is kept in the package's testdata/fuzz, for every later test.
FUZZTIME ?= 30s
fuzz: | deps ## look for inputs that break what reads outside bytes, FUZZTIME=30s for each reader
	@$(SANITIZED) scripts/fuzz $(FUZZTIME)

rdma-lab: ## build the guest with an RDMA device that rdma-lab-test boots
	@LAB=rdma scripts/deps.sh
	@scripts/rdma-lab/build

rdma-lab-test: build rdma-lab ## run the tests of the data path, and an MPI program, over RDMA verbs
	@scripts/rdma-lab/test

slurm-lab: build ## run the tests on a real Slurm cluster of 4 nodes, in namespaces (as root)
	@LAB=slurm scripts/deps.sh
	@scripts/slurm-lab/test

soak: build ## compare random jobs on the Slurm cluster without and with sublet slurm harvest (SUBLET_SOAK=30m each time)
	@LAB=slurm scripts/deps.sh
	@SUBLET_SOAK=$${SUBLET_SOAK:-30m} $(MPI) scripts/slurm-lab/soak

# What links MPI is left out: the race detector reports the MPI library's own memory. -short leaves out
# transports that differ in their C only.
race: | deps ## run the tests under the race detector, but those of packages with MPI
	@all=$$($(MPI) scripts/packages-without-mpi) && packages="$$($(call those,'$(LONGEST)')) $$($(call those,-v '$(LONGEST)'))" && \
		$(call run_tests,-race -short $(BESIDE),$$packages)

lint: | deps ## run the linter, at the version named in this file; check go.mod and the C
	@go mod tidy -diff
	@$(CC) -std=gnu11 -O2 $(WARNINGS) -fsyntax-only $(wildcard internal/fabric/*.c internal/fabric/floor/*.c)
	@$(MPI) $(GOLANGCI_LINT) run ./...

fmt: | deps ## format all Go files
	@$(GOFUMPT) -w .

install: build ## install programs, libraries and the header under PREFIX (and DESTDIR)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/sublet $(DESTDIR)$(PREFIX)/include/sublet
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(LIBRARIES) $(DESTDIR)$(PREFIX)/lib/sublet
	install -m 644 $(HEADER) $(DESTDIR)$(PREFIX)/include/sublet

clean: ## remove what was built
	rm -rf bin build

# Prints failures, one line per package, and the totals. A package takes 3 minutes at most on two idle
# cores; what hangs is found by the tests themselves, with a text that says what. RERUNS=N runs tests that
# fail up to N times more when all others are done, and fails if they fail each time; all is in the output.
RERUNS ?= 0
TESTER  = $(MPI) $(GOTESTSUM)
define run_tests
$(TESTER) --format pkgname-and-test-fails --format-hide-empty-pkg --hide-summary=skipped,output \
	$(if $(filter-out 0,$(RERUNS)),--rerun-fails=$(RERUNS) --rerun-fails-max-failures=10 --rerun-fails-run-root-test --rerun-fails-abort-on-data-race) \
	--packages "$(2)" -- -timeout 15m $(if $(SHORT),-short) $(1)
endef

# Tests of packages run beside each other, of three at least, for they mostly wait: those of the packages that take
# longest begin first. Alone run those that kill what computes and hold it to a time: beside others they would see how
# the kernel divides the cores among too many who spin.
LONGEST := /offload$$\|/internal/fabric$$\|/internal/hosts$$
ALONE   := /apps/jacobi$$
BESIDE   = -p $(shell n=$$(nproc); echo $$((n > 3 ? n : 3)))
those    = { printf '%s\n' $$all | grep $(1) || true; }
define run_all
all=$$($(MPI) go list $(1)) && others="$$($(call those,'$(LONGEST)')) $$($(call those,-v -e '$(LONGEST)' -e '$(ALONE)'))" && \
	alone=$$($(call those,'$(ALONE)')) && \
	if [ -n "$${others# }" ]; then $(call run_tests,$(BESIDE),$$others); fi && if [ -n "$$alone" ]; then $(call run_tests,,$$alone); fi
endef

# Go knows best what is out of date: these always run, and cost a fraction of a second when
# nothing is.
bin/sublet: force | deps
	@CGO_ENABLED=0 go build $(LDFLAGS) -o $@ ./cmd/sublet

bin/sublet-executor bin/sublet-invoke bin/sublet-bench: force | deps
	@$(MPI) go build $(LDFLAGS) -o $@ ./cmd/$(@F)

bin/%: force | deps
	@$(MPI) go build $(LDFLAGS) -o $@ ./apps/$*

bin/libjacobi.so: $(wildcard apps/jacobi/kernel/*.[ch]) $(HEADER) Makefile | deps
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(WARNINGS) -fPIC -shared -I build/include -o $@ $(filter %.c,$^) -lm

# -std=c11: prices do not depend on other options (apps/internal/pricing/pricing.h). cgo compiles the same files.
bin/libblackscholes.so: $(wildcard apps/blackscholes/kernel/*.c apps/internal/pricing/*.[ch]) $(HEADER) Makefile | deps
	@mkdir -p $(@D)
	@$(CC) -std=c11 $(CFLAGS) $(WARNINGS) -fPIC -shared -fvisibility=hidden -I build/include -o $@ $(filter %.c,$^) -lm

bin/libfunctions.so: examples/functions.cpp Makefile | deps
	@mkdir -p $(@D)
	@$(CXX) $(CXXFLAGS) $(WARNINGS) -fPIC -shared -o $@ $<

FLOOR := internal/fabric/floor
bin/libbench.so: $(wildcard $(FLOOR)/*.[ch] $(FLOOR)/peer/*.[ch]) $(HEADER) Makefile | deps
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 $(CFLAGS) $(WARNINGS) $(shell pkg-config --cflags libfabric 2>/dev/null) -fvisibility=hidden -fPIC -shared -I build/include \
		-o $@ $(filter %.c,$^) -ldl -lpthread

$(HEADER): internal/fabric/function.h
	@mkdir -p $(@D)
	@cp $< $@

force:
