# StreamSpace control plane. `make` alone says what there is.

SHELL := /bin/bash
CARGO ?= cargo
DEV := packaging/dev

.DEFAULT_GOAL := help
.PHONY: help run test lint bench needs needs-tests format man

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: needs ## Build, and start a development region with sample tenants
	$(CARGO) build -p streamspaced -p ssctl
	exec target/debug/streamspaced dev $(ARGS)

test: needs-tests ## Run everything that CI tests, on a real PostgreSQL and a real kube-apiserver
	$(CARGO) build --workspace --bins
	$(CARGO) test --workspace

lint: ## Check format, lints, bans and the contract
	$(DEV)/lint

bench: needs ## Measure, as ratios within one run
	$(CARGO) run --release -p streamspace-tests --example bench

man: ## Write the manual pages anew
	$(CARGO) run -q -p ssctl -- man man

format: ## Format everything
	$(CARGO) fmt --all
	cd tests/cluster && gofmt -w .

needs:
	@$(DEV)/needs postgresql

needs-tests:
	@$(DEV)/needs postgresql go
