# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory --no-builtin-rules

# The Python that makes the virtual environments; everything else runs in .venv.
PYTHON ?= $(if $(shell command -v python3.11),python3.11,python3)
export PYTHON
BIN := .venv/bin
STAGES = $(BIN)/python tests/tools/stages.py
LAB := tests/lab/lab

.PHONY: help
help:  ## this list
	@sed -n 's/^\([a-z][a-z0-9.-]*\):.*  ## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: venv
venv:  ## build .venv at the pinned versions, if it is missing or the pins changed
	@command -v $(PYTHON) >/dev/null || { echo 'make: Python 3.11 is missing; install it, or name one: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) tests/tools/make_venv.py .venv tests/requirements.txt

.PHONY: demo
demo: lab  ## a mesh from nothing, six TCP ports on it, each proven from outside
	@PATH="$(CURDIR)/$(BIN):$$PATH" ansible-playbook -i inventories/lab playbooks/demo.yml

.PHONY: demo-down
demo-down: venv  ## take the demo off the cluster again
	@PATH="$(CURDIR)/$(BIN):$$PATH" ansible-playbook -i inventories/lab playbooks/demo.yml -e demo_state=absent

.PHONY: lab
lab: venv  ## bring the kind cluster with Istio up (does nothing when it runs)
	@$(LAB) up

.PHONY: lab-status
lab-status:  ## what of the lab runs, and where
	@$(LAB) status

.PHONY: lab-down
lab-down:  ## take the lab down without a trace
	@$(LAB) down

.PHONY: test
test: venv  ## all kinds of tests, a sample of the long ones; brings the lab up and leaves it up
	@$(STAGES) test $(if $(ONLY),$(addprefix --only=,$(ONLY)))

.PHONY: test-fast
test-fast: venv  ## what needs no cluster: linters, documentation, unit tests (under two minutes)
	@$(STAGES) fast $(if $(ONLY),$(addprefix --only=,$(ONLY)))

.PHONY: test-all
test-all: venv  ## every scenario and every long test
	@$(STAGES) all $(if $(ONLY),$(addprefix --only=,$(ONLY)))

.PHONY: test-istio
test-istio: lab  ## hold the model of Istio's listeners against the real istiod: 300 random worlds
	@$(BIN)/python tests/istio/hold.py 300

.PHONY: test-core-2.16
test-core-2.16: venv  ## unit tests and one scenario on the oldest ansible-core and kubernetes.core served
	@$(STAGES) core-2.16

.PHONY: lint
lint: venv  ## the linters alone
	@$(STAGES) lint

.PHONY: bench
bench: lab  ## measure the budgets as ratios, into docs/benchmarks.md (PARTS="planning publish capacity")
	@$(BIN)/python tests/bench/bench.py $(PARTS) --write

.PHONY: docs
docs: venv  ## list the modules, filters and roles; "ansible-doc -t role servicemesh.tcp.expose" prints one manual
	@for kind in module filter role; do \
		echo "$$kind:"; $(BIN)/ansible-doc -t $$kind --list servicemesh.tcp || exit 1; \
	done

.PHONY: build
build: venv  ## the collection's tarball, into build/
	@$(BIN)/ansible-galaxy collection build --force --output-path build

.PHONY: lock
lock: venv  ## write the full lists of pins anew from tests/requirements*.in
	@$(PYTHON) tests/tools/lock.py

.PHONY: clean
clean:  ## remove builds, caches and the virtual environments (not the lab)
	@rm -rf build .cache .pytest_cache .ruff_cache .hypothesis .ansible .venv .venv-2.16 .venv.lock .venv-2.16.lock tests/output
	@find . -name __pycache__ -type d -not -path './.lab/*' -prune -exec rm -rf {} +
