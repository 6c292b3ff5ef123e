# Everything a person or CI runs here. `make help` lists it.
GO      ?= go
BIN     := bin/forewarn
# Peers that are compiled in for results where their development packages are there.
PEERS    = $(shell pkg-config --exists libhs 2>/dev/null && echo hyperscan)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
CACHE   := .cache
LINT    := $(CACHE)/golangci-lint
LINT_VERSION := v2.15.0
FUZZTIME ?= 10s
PROMETHEUS := $(CACHE)/bin/prometheus

.PHONY: help demo build test race lint fuzz property kill prometheus remote-write bench results schema clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## build forewarn, start everything embedded and show a genuine failure being forewarned
	@$(BIN) demo

build: ## build bin/forewarn
	@$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN) ./cmd/forewarn

test: ## all tests with their usual number of cases (under 5 minutes on 2 cores)
	@$(GO) vet ./...
	@$(GO) test ./...

race: ## all tests under the race detector
	@$(GO) test -race ./...

lint: $(LINT) ## the linters, with the import order among them
	@$(LINT) run ./...

$(LINT):
	@echo "building golangci-lint $(LINT_VERSION) (once)"
	@GOBIN=$(CURDIR)/$(CACHE) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

property: ## 1,000,000 random cases of the scan in each of its ways, 100,000 of the matcher against its slow oracle, 20,000 of CRE rules
	@FOREWARN_CASES=1000000 $(GO) test -count=1 -timeout 20m -run '^TestScanAgreesWithTheSlowLoop$$' -v ./matcher
	@FOREWARN_CASES=100000 $(GO) test -count=1 -timeout 20m -run '^(TestTrackerAgreesWithOracle|TestScanAgreesWithNaiveEvaluation)$$' -v ./matcher
	@FOREWARN_CASES=20000 $(GO) test -count=1 -timeout 20m -run '^TestFramesAgreeWithReference$$' -v ./matcher

kill: ## kill the process 100 times while records flow
	@FOREWARN_KILLS=100 $(GO) test -count=1 -timeout 20m -run '^TestKilledAtRandomPointsNothingIsLostOrToldTwice$$' -v ./matcher/pipeline

prometheus: $(PROMETHEUS) ## build the Prometheus that tests run (once; four minutes on 2 cores)

$(PROMETHEUS): deploy/prometheus/go.mod deploy/prometheus/go.sum
	@mkdir -p $(dir $@)
	@echo "building $@ (once)"
	@CGO_ENABLED=0 $(GO) build -C deploy/prometheus -trimpath -tags remove_all_sd -ldflags '-s -w' -o $(CURDIR)/$@ github.com/prometheus/prometheus/cmd/prometheus
	@touch $@

remote-write: prometheus ## a real Prometheus sends to forewarn by remote write 1.0 and 2.0, and is asked for expressions
	@PROMETHEUS=$(CURDIR)/$(PROMETHEUS) $(GO) test -count=1 -timeout 10m -tags e2e ./deploy/e2e/prometheus

fuzz: ## each fuzz target for FUZZTIME (10s, or 2000x for a number of inputs)
	@$(GO) list ./... | while read -r p; do \
	  $(GO) test -list '^Fuzz' "$$p" | grep '^Fuzz' | while read -r f; do \
	    echo "fuzz $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$p" || exit 1; \
	  done || exit 1; done

bench: ## the speed of scanning, tracking, reading and coding on this machine
	@$(GO) test -run '^$$' -bench . -benchmem ./matcher ./collector/... ./signatures/...

results: ## measure everything anew and keep it in bench/results (ten minutes, on a quiet machine)
	@$(GO) build -trimpath -tags '$(PEERS)' -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN) ./cmd/forewarn
	@mkdir -p bench/results
	@$(BIN) bench scan mixed anchored cre hard events kinds --cores --peers all --save bench/results/scan.json
	@$(BIN) bench index --save bench/results/index.json
	@$(BIN) bench state --save bench/results/state.json
	@$(BIN) bench start --save bench/results/start.json
	@$(BIN) bench pipeline --for 60s --rounds 1 --save bench/results/pipeline.json
	@$(BIN) bench pipeline --anchored --rounds 5 --save bench/results/pipeline-anchored.json
	@$(BIN) bench pipeline --rate 100000 --for 20s --rounds 3 --jetstream=false --save bench/results/latency.json

clean: ## remove what was built here
	@rm -rf bin $(CACHE)
