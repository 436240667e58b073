# StreamSpace control plane. `make` alone says what there is.

SHELL := /bin/bash
# Where the toolchains put themselves, also before the next login.
export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/go/bin
CARGO ?= cargo
DEV := packaging/dev
# Where cargo puts what it builds.
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))

.DEFAULT_GOAL := help
.PHONY: help run cluster test lint soak bench release format man docs reference screens needs needs-tests needs-cluster needs-lint needs-release

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: needs ## Build, and start a development region with sample tenants
	$(CARGO) build --workspace --bins
	exec $(TARGET)/debug/streamspaced dev $(ARGS)

cluster: needs-cluster ## Run a real kube-apiserver on loopback, to give to `make run`
	cd tests/cluster && go build -trimpath -ldflags '-X k8s.io/component-base/version.gitVersion=v1.36.3' \
		-o $(TARGET)/cluster/cluster .
	exec $(TARGET)/cluster/cluster start --dir $(TARGET)/cluster/run

test: needs-tests ## Run everything that CI tests, on a real PostgreSQL and a real kube-apiserver
	$(CARGO) build --workspace --bins
	$(DEV)/previous
	$(CARGO) test --workspace --no-fail-fast

lint: needs-lint ## Check format, lints, bans and the contract
	$(DEV)/lint

soak: needs-tests ## Run what is long at its whole length: 200 kills, a large region, many seeds
	$(CARGO) build --workspace --bins
	STREAMSPACE_KILLS=200 $(CARGO) test -p streamspace-tests --test end_to_end -- kills::
	STREAMSPACE_CROWD=10000 $(CARGO) test -p streamspace-tests --test end_to_end -- dashboard::scale::
	PROPTEST_CASES=100000 $(CARGO) test --release -p streamspace-core --lib
	STREAMSPACE_SEEDS=1000000 $(CARGO) test --release -p streamspace-core --lib -- usage::simulation
	packaging/release/compare

bench: needs-tests ## Measure, as ratios within one run
	$(CARGO) run --release -p streamspace-tests --example bench -- $(ARGS)

release: needs-release ## Make packages, archives, lists and sums in target/packages: ARGS='--key KEY' signs
	packaging/release/build $(ARGS)

reference: ## Write the reference in docs/reference anew
	$(CARGO) build --workspace --bins
	UPDATE_DOCS=1 $(CARGO) test -q -p streamspace-tests --test documentation -- reference::

docs: needs-tests ## Write into the pages what their commands show
	$(CARGO) build --workspace --bins
	UPDATE_DOCS=1 $(CARGO) test -p streamspace-tests --test documentation -- --nocapture pages::

screens: ## Write the screens of the dashboard in docs/screens anew
	$(CARGO) build --workspace --bins
	UPDATE_DOCS=1 $(CARGO) test -q -p streamspace-tests --test documentation -- screens::

man: ## Write the manual pages anew
	$(CARGO) build --workspace --bins
	$(TARGET)/debug/ssctl man man
	$(TARGET)/debug/streamspaced man man

format: ## Format everything
	$(CARGO) fmt --all
	cd tests/cluster && gofmt -w .

needs:
	@$(DEV)/needs postgresql

needs-tests:
	@$(DEV)/needs postgresql prometheus alertmanager mandoc go packages minisign
	@[ "$$(uname)" != Linux ] || $(DEV)/tools cargo-deb cargo-generate-rpm cargo-cyclonedx >/dev/null

needs-cluster:
	@$(DEV)/needs go

needs-lint:
	@$(DEV)/needs go npm

needs-release:
	@$(DEV)/needs packages minisign
