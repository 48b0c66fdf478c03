# aispend: `make demo` shows it, `make test` proves it. Needs Go (the version in
# go.mod), make and git; everything else is built into .bin from pinned sources.

GO            ?= go
BIN           := $(CURDIR)/.bin
GOLANGCI_LINT := $(BIN)/golangci-lint-v2.15.0
GOTESTSUM     := $(BIN)/gotestsum-v1.13.0
PROMTOOL      := $(BIN)/promtool-v0.316.0
PROMETHEUS    := $(BIN)/prometheus-v0.316.0
AMTOOL        := $(BIN)/amtool-v0.34.2
ALERTMANAGER  := $(BIN)/alertmanager-v0.34.2
VERSION       := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
REVISION      := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
BRANCH        := $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null || echo unknown)
VERSION_PKG   := github.com/prometheus/common/version
LDFLAGS       := -s -w -X $(VERSION_PKG).Version=$(VERSION) -X $(VERSION_PKG).Revision=$(REVISION) \
                 -X $(VERSION_PKG).Branch=$(BRANCH)
# Rounds of the kill test; CI and people in a hurry keep the default.
export AISPEND_KILLS ?=
export AISPEND_PROMTOOL = $(PROMTOOL)
export AISPEND_AMTOOL = $(AMTOOL)
# The servers are for test-e2e; a test that wants one and finds its variable unset says so.
test-e2e bench-alerts: export AISPEND_PROMETHEUS = $(PROMETHEUS)
test-e2e bench-alerts: export AISPEND_ALERTMANAGER = $(ALERTMANAGER)

.PHONY: all demo build test test-e2e test-bigquery test-kill bench-alerts mutate lint format bench fuzz clean tools help

all: lint build test test-e2e

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## run the daemon against simulated providers; needs no key and no network
	./bin/aispend demo

build: ## build bin/aispend
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/aispend ./cmd/aispend

test: $(GOTESTSUM) $(PROMTOOL) $(AMTOOL) ## install what the tests need and run all of them with the race detector
	$(GOTESTSUM) --format pkgname --format-hide-empty-pkg -- -race -timeout 9m ./...

test-e2e: $(GOTESTSUM) $(PROMTOOL) $(PROMETHEUS) $(AMTOOL) $(ALERTMANAGER) ## real Prometheus and Alertmanager, Slack and mail sinks, every dashboard query, the stack
	$(GOTESTSUM) --format pkgname -- -race -timeout 15m ./test/e2e/... ./dashboards/... ./internal/amclient/...
	cd test/stack && $(GOTESTSUM) --format pkgname -- -timeout 15m ./...

test-bigquery: $(GOTESTSUM) ## the daemon's query in a GoogleSQL engine; the first build takes some 6 CPU minutes and GBs of memory
	cd test/bigquery && $(GOTESTSUM) --format standard-verbose -- -count=1 -timeout 30m ./...

test-kill: ## 200 SIGKILLs at random moments, every sum checked after each; 120 between a hard cap and its hook
	AISPEND_KILLS=200 AISPEND_CRASH_ROUNDS=200 AISPEND_HOOK_KILLS=100 $(GO) test -count=1 -timeout 40m -run 'Kill' -v \
	  ./internal/store/badger ./cmd/aispend ./test/e2e

mutate: $(PROMTOOL) ## put mistakes into the alerting rules and list those that no test notices
	$(GO) run ./rules/mutate

lint: $(GOLANGCI_LINT) ## golangci-lint, formatting and a tidy go.mod
	$(GOLANGCI_LINT) run ./...
	$(GOLANGCI_LINT) fmt --diff ./...
	$(GO) mod tidy -diff
	cd test/stack && $(GOLANGCI_LINT) run ./... && $(GOLANGCI_LINT) fmt --diff ./... && $(GO) mod tidy -diff
	cd test/bigquery && $(GOLANGCI_LINT) fmt --diff ./...

format: $(GOLANGCI_LINT) ## gofumpt over the tree
	$(GOLANGCI_LINT) fmt ./...

bench: ## ratios against peers and limits, measured side by side in one run
	$(GO) run ./test/bench

bench-alerts: $(PROMETHEUS) $(ALERTMANAGER) ## seconds from a page to Slack, mail and hook with the shipped intervals
	AISPEND_E2E_LATENCY=6 $(GO) test -count=1 -timeout 20m -run TestLatency -v ./test/e2e

fuzz: ## every fuzz target for 20 seconds
	./scripts/fuzz 20s

.PHONY: check-dashboards
check-dashboards: ## the dashboards against the types of @grafana/schema; needs npm
	mkdir -p $(BIN)/dashboards && cp dashboards/typecheck.mjs $(BIN)/dashboards
	cd $(BIN)/dashboards && npm install --prefix . --no-audit --no-fund --no-save --silent @grafana/schema@13.2.3 typescript@5.9.3 && \
	  node typecheck.mjs $(CURDIR)/dashboards/*.json

tools: $(GOLANGCI_LINT) $(GOTESTSUM) $(PROMTOOL) $(PROMETHEUS) $(AMTOOL) $(ALERTMANAGER) ## build the pinned tools into .bin

clean: ## remove what was built
	rm -rf bin .bin dist

# Each tool is its own module with the versions its authors tested; the version
# is in the file name so that a new pin builds anew.
$(GOLANGCI_LINT):
	GOBIN=$(BIN) GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv $(BIN)/golangci-lint $@

$(GOTESTSUM):
	GOBIN=$(BIN) GOFLAGS= $(GO) install gotest.tools/gotestsum@v1.13.0
	mv $(BIN)/gotestsum $@

$(PROMTOOL):
	GOBIN=$(BIN) GOFLAGS= $(GO) install -tags remove_all_sd github.com/prometheus/prometheus/cmd/promtool@v0.316.0
	mv $(BIN)/promtool $@

$(PROMETHEUS):
	GOBIN=$(BIN) GOFLAGS= $(GO) install -tags remove_all_sd github.com/prometheus/prometheus/cmd/prometheus@v0.316.0
	mv $(BIN)/prometheus $@

$(AMTOOL):
	GOBIN=$(BIN) GOFLAGS= $(GO) install github.com/prometheus/alertmanager/cmd/amtool@v0.34.2
	mv $(BIN)/amtool $@

$(ALERTMANAGER): scripts/alertmanager
	mkdir -p $(BIN)
	GO=$(GO) ./scripts/alertmanager v0.34.2 $@
