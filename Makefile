# `make` without a target shows what there is.
.DEFAULT_GOAL := help
SHELL := bash

TOOLS     := .tools
GOLANGCI  := $(TOOLS)/golangci-lint
GOTESTSUM := $(TOOLS)/gotestsum
VULNCHECK := $(TOOLS)/govulncheck

.PHONY: help run build test test-short lint vuln fuzz bench fmt clean

help: ## Show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

build: ## Build bin/sluice
	go build -o bin/sluice ./cmd/sluice

run: build ## Run sluice on the embedded store: needs nothing but Go
	exec bin/sluice serve

test: ## Run every test, with a real Kafka and Cassandra, which it sets up
	dev/test

test-short: ## Run the tests that need no servers
	go test -short -race ./...

lint: $(GOLANGCI) ## Check format, vet, imports and style
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run: make fmt"; exit 1; }
	go vet ./...
	$(GOLANGCI) run ./...

vuln: $(VULNCHECK) ## Look for known vulnerabilities (needs vuln.go.dev)
	$(VULNCHECK) ./...

fuzz: ## Fuzz every parser for FUZZTIME (30s) each
	dev/fuzz

bench: ## Run the benchmarks; bench/README.md says how results are kept
	bench/run

fmt: ## Format the code
	gofmt -w $$(git ls-files '*.go')

clean: ## Remove what was built; data/ and the cache of servers stay
	rm -rf bin $(TOOLS)

$(GOLANGCI):
	GOBIN=$(CURDIR)/$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
$(GOTESTSUM):
	GOBIN=$(CURDIR)/$(TOOLS) go install gotest.tools/gotestsum@v1.13.0
$(VULNCHECK):
	GOBIN=$(CURDIR)/$(TOOLS) go install golang.org/x/vuln/cmd/govulncheck@v1.9.0

include Makefile.stack
include Makefile.bench
