# One target for each thing that people do here. `make` alone lists them.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
ENGINE := $(TARGET)/release/mr-engine
WASM := $(TARGET)/wasm32-wasip2/guest
PLUGINS := wordcount grep inverted-index sort map-join matrix-vector teragen teravalidate select aggregate sets join \
	matrix-multiply ngrams top-k secondary-sort sessions pagerank-graph pagerank-step pagerank-ranks k-means
GUESTS := remap sum gather place route unruly brittle rogue toil latest liar hostile

.DEFAULT_GOAL := help
.PHONY: help setup build plugins guests demo data test chaos check fmt clippy docs wit audit bench bench-languages test-languages sim fuzz clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed 's/:.*## /\t/' | expand -t 18

setup: ## Install what building needs and is missing (the wasm32-wasip2 target)
	@sh tools/setup.sh

build: setup ## Build target/release/mr-engine
	$(CARGO) build --release

plugins: setup ## Build target/plugins/NAME.wasm
	@sh tools/build-plugins.sh "$(TARGET)" $(PLUGINS)

guests: plugins
	@sh tools/build-plugins.sh "$(TARGET)" --examples test-guests $(GUESTS)

demo: build plugins ## Count the words of real text and show the most frequent ones (TEXT=folder for your own)
	@TEXT="$(TEXT)" sh tools/demo.sh "$(TARGET)"

data: ## Fetch what Debian tells of its packages, for tests on real data
	@sh tools/data/debian.sh "$(TARGET)/data/debian"

test: build guests data ## Run all tests
	@sh tools/test.sh

check: fmt wit clippy docs test audit ## Everything that has to pass: format, lints, docs, tests, interface, dependencies

fmt:
	$(CARGO) fmt --all --check

clippy: setup
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings
	$(CARGO) clippy --profile guest --target wasm32-wasip2 $(addprefix -p ,$(PLUGINS)) -- -D warnings
	$(CARGO) clippy --profile guest --target wasm32-wasip2 -p test-guests --examples -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --workspace --no-deps --quiet

wit: ## Check that the plugin interface did not change without a new version
	@sh tools/check-wit.sh

audit: ## Check licences, sources and known faults of the dependencies
	@sh tools/audit.sh

bench: build plugins ## Measure against native references; keeps the run under benches/runs
	$(CARGO) run --release -p mr-bench -- all

bench-languages: build plugins ## Measure the same word count in every language
	$(CARGO) run --release -p mr-bench -- all --only languages

chaos: build guests ## Kill, stop, cut off and flood real clusters; takes a quarter of an hour
	$(CARGO) test --release -p mr-tests --test integration -- cluster:: hostile:: --include-ignored --test-threads=1

test-languages: build guests ## Build and run plugins in every language, with the real toolchains
	$(CARGO) test --release -p mr-tests --test integration -- languages:: --include-ignored --test-threads=1

sim: ## Simulate clusters, SEEDS=n histories
	MR_SIM_SEEDS=$(or $(SEEDS),1000) $(CARGO) test --release -p mr-scheduler --test simulation

fuzz: ## Look for inputs that break a decoder, SECONDS=n each, NAME=one of them
	@sh tools/fuzz.sh "$(TARGET)" "$(or $(SECONDS),600)" $(NAME)

clean: ## Remove everything that was built
	$(CARGO) clean
