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
ORACLE   ?= 100000
PROMETHEUS := $(CACHE)/bin/prometheus
ALERTMANAGER := $(CACHE)/bin/alertmanager
PROMTOOL   := $(CACHE)/bin/promtool

# The control plane of the tests is a module of its own, so that Kubernetes stays out of go.mod. Nothing but go build enters
# it: go vet would analyse all 2,900 of its packages.
TESTBED      := deploy/testbed
CONTROLPLANE := $(CACHE)/bin/controlplane
K8S          := 1.37.1
K8S_VERSION  := -X k8s.io/component-base/version.gitVersion=v$(K8S) -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37
# The key of the built file: a checkout changes times, not contents, and CI keeps the file under it.
TESTBED_KEY   = $(shell { echo $(K8S); cat $(TESTBED)/go.mod $(TESTBED)/go.sum $(TESTBED)/*.go; } | sha256sum | cut -c1-16)

.PHONY: console-e2e console-screenshots image manifests chart help demo build test race lint fuzz property kill controlplane e2e prometheus rules remote-write alertmanager alertmanager-e2e bench results schema clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## build forewarn, start everything embedded and show a genuine failure being forewarned, on the terminal and in the web console
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
	@FOREWARN_CASES=$(ORACLE) $(GO) test -count=1 -timeout 20m -run '^(TestTrackerAgreesWithOracle|TestScanAgreesWithNaiveEvaluation)$$' -v ./matcher
	@FOREWARN_CASES=20000 $(GO) test -count=1 -timeout 20m -run '^TestFramesAgreeWithReference$$' -v ./matcher

kill: ## kill the matching process 100 times while records flow, and the collector of logs while they are written and rotated
	@FOREWARN_KILLS=100 $(GO) test -count=1 -timeout 20m -run '^TestKilledAtRandomPointsNothingIsLostOrToldTwice$$' -v ./matcher/pipeline
	@FOREWARN_KILLS=100 $(GO) test -count=1 -timeout 20m -run '^TestKilledAtRandomPointsNoLineOfALogIsLostOrTwice$$' -v ./collector/node

prometheus: $(PROMETHEUS) $(PROMTOOL) ## build the Prometheus and the promtool that tests run (once; five minutes on 2 cores)

$(PROMETHEUS) $(PROMTOOL): deploy/prometheus/go.mod deploy/prometheus/go.sum
	@mkdir -p $(dir $@)
	@echo "building $@ (once)"
	@CGO_ENABLED=0 $(GO) build -C deploy/prometheus -trimpath -gcflags=all=-l -tags remove_all_sd -ldflags '-s -w' -o $(CURDIR)/$@ github.com/prometheus/prometheus/cmd/$(notdir $@)
	@touch $@

rules: build $(PROMTOOL) ## the alerting rules of the whole catalogue and of forewarn itself, checked and tested by promtool (two minutes)
	@rm -rf $(CACHE)/rules
	@$(BIN) rules generate --out $(CACHE)/rules
	@$(PROMTOOL) check rules $(CACHE)/rules/*.yaml deploy/rules/forewarn.yaml > $(CACHE)/rules.log || { cat $(CACHE)/rules.log; exit 1; }
	@$(PROMTOOL) test rules $(CACHE)/rules/tests/*.yaml deploy/rules/tests.yaml > $(CACHE)/rules.log 2>&1 || { cat $(CACHE)/rules.log; exit 1; }
	@echo "promtool: every rule is sound, and every unit test passes"

remote-write: prometheus ## a real Prometheus sends to forewarn by remote write 1.0 and 2.0, is asked for expressions, and fires the generated rules
	@PROMETHEUS=$(CURDIR)/$(PROMETHEUS) $(GO) test -count=1 -timeout 10m -tags e2e ./deploy/e2e/prometheus

alertmanager: $(ALERTMANAGER) ## build the Alertmanager that tests run (once; two minutes on 2 cores)

$(ALERTMANAGER): deploy/alertmanager/go.mod deploy/alertmanager/go.sum deploy/alertmanager/build.sh
	@mkdir -p $(dir $@)
	@echo "building $@ (once)"
	@GO="$(GO)" deploy/alertmanager/build.sh $(CURDIR)/$@

alertmanager-e2e: $(ALERTMANAGER) ## a cluster of two real Alertmanagers (built once, two minutes on 2 cores) is told warnings by forewarn
	@ALERTMANAGER=$(CURDIR)/$(ALERTMANAGER) $(GO) test -count=1 -timeout 10m -tags e2e ./deploy/e2e/alertmanager

controlplane: ## build etcd, the Kubernetes control plane, kubelet and kwok into one file (once; ten minutes on 2 cores)
	@test -x $(CONTROLPLANE) && test "$$(cat $(CONTROLPLANE).key 2>/dev/null)" = "$(TESTBED_KEY)" || $(MAKE) --no-print-directory $(CONTROLPLANE)

.PHONY: $(CONTROLPLANE)
$(CONTROLPLANE):
	@mkdir -p $(dir $@)
	@echo "building $@ (Kubernetes v$(K8S), once for key $(TESTBED_KEY))"
	@{ CGO_ENABLED=0 $(GO) build -C $(TESTBED) -v -trimpath -gcflags=all=-l -ldflags '-s -w $(K8S_VERSION)' -o $(CURDIR)/$@ . 2>&1; echo "exit $$?"; } | \
	  awk '/^exit [0-9]+$$/ {code = $$2; next} /^[a-z0-9.-]+(\/[^ ]*)?$$/ {if (++n % 100 == 0) {print "  " n " of about 2900 packages compiled"; fflush()}; next} {print} END {exit code}'
	@echo "$(TESTBED_KEY)" > $@.key

e2e: controlplane ## everything against a real control plane, and a real node where the machine allows one
	@$(TESTBED)/packages.sh $(CURDIR)/$(CACHE)/node
	@$(GO) test -C deploy/e2e -count=1 -timeout 20m -tags e2e -v

console-e2e: .cache/chromium ## the web console in a real Chromium: every page, keys, axe-core, live updates, from the demo to feedback
	@$(GO) test -C matcher/console/e2e -count=1 -timeout 20m -tags e2e .

console-screenshots: .cache/chromium ## take the console's screenshots anew
	@$(GO) test -C matcher/console/e2e -count=1 -timeout 20m -tags e2e . -run Screenshots -update

# A browser: the one in CHROMIUM, the machine's, or on Debian a package.
.cache/chromium:
	@mkdir -p $(CACHE)
	@test -n "$$CHROMIUM" || command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null || \
	  { echo "installing Chromium (once)"; apt-get update -qq && apt-get install -y -qq chromium fonts-inter fonts-dejavu >/dev/null; }
	@touch $@

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

image: ## the container image for amd64 and arm64, .cache/forewarn-image.tar, with Go alone
	@mkdir -p $(CACHE)
	@$(GO) run ./deploy/image/build -o $(CACHE)/forewarn-image.tar -tag $(VERSION) -revision "$$(git rev-parse HEAD 2>/dev/null)" -time "$$(git log -1 --format=%ct 2>/dev/null || echo 0)"

manifests: ## make what is made of the code under deploy/: custom resources, roles, dashboard, and what Helm renders
	@$(GO) test -count=1 ./signatures/crd -run '^TestDefinitionsAreStored$$' -update
	@$(GO) generate ./deploy/rbac
	@$(GO) test -count=1 ./deploy/dashboard -run '^TestTheDashboardOfTheChartIsNew$$' -update
	@$(GO) run -C deploy/render . -deploy ..

chart: ## lint the Helm chart, render it and compare with what is kept (its own module: a first build takes minutes)
	@$(GO) test -C deploy/render -vet=off ./...

clean: ## remove what was built here
	@rm -rf bin $(CACHE)
