# Two commands for a stranger: `make demo` and `make test`. Everything lives in .venv; nothing else is touched.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test test-long check conformance bench bench-analytics bench-vibration faults faults-night faults-setup lab wheel deb deb-check deb-lint deb-arm64-import lock clean

help:
	@echo "make demo     set up .venv and run the demo: a plant, a fault, one case"
	@echo "make test     set up .venv and run the tests"
	@echo "make test-long  those of the tests that take long; each has a short one beside it"
	@echo "make check    ruff, mypy --strict, import-linter"
	@echo "make conformance  clients and validators of others (npm) against what the gateway sends and exports"
	@echo "make faults   kills, power cuts, full disks, dead receivers, wrong clocks, on the daemon as a process; writes docs/reliability.md"
	@echo "make faults-night  the same as often as it takes a night, and what takes hours; make faults-setup first: apt packages (root)"
	@echo "make lab      the unit in booted Debians (root; sudo apt-get install mmdebstrap systemd-container): killed, hung, reloaded, shut in"
	@echo "make bench    measure; writes benchmarks/RESULTS.md"
	@echo "make bench-analytics DATA=folder  detectors on public recordings; writes benchmarks/ANALYTICS.md"
	@echo "make bench-vibration DATA=folder  the bearing diagnosis on public recordings; writes benchmarks/VIBRATION.md"
	@echo "make wheel    build the wheel and try it in a venv of its own"
	@echo "make deb [KEY=release.pem]  packages for Debian 12 and 13, amd64 and arm64, and bundles without a network, in dist/deb (root; mmdebstrap)"
	@echo "make deb-check  those of this machine's kind built twice, installed, used, removed and purged in Debians of their own"
	@echo "make deb-lint, make deb-arm64-import  lintian; arm64 installed and loaded under qemu (minutes)"
	@echo "make lock     resolve the dependencies anew into locks/"

demo: $(VENV)/demo.stamp
	$(BIN)/lineside demo $(ARGS)

# Two workers a core, see tests/conftest.py. One that has nothing more to do takes over half of what another one has left.
PARALLEL := -n auto --maxprocesses 4 --dist worksteal
# Whatever the environment says: workers and hundreds of daemons read the bytecode that the first one has written.
test test-long faults faults-night: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest $(PARALLEL) -m "not long" $(ARGS)

test-long: $(VENV)/dev.stamp
	$(BIN)/python -m pytest $(PARALLEL) --maxprocesses 2 -m long $(ARGS)

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Not a part of `make test`: it needs Node.js 18 or newer and 220 MB of packages.
CONFORMANCE := tests/conformance
PEERS := tests/drivers/opcua/node tests/drivers/sparkplug/node
conformance: $(VENV)/dev.stamp
	@if command -v npm >/dev/null && command -v node >/dev/null; then \
	  for folder in $(CONFORMANCE) $(PEERS); do \
	    test -e $$folder/node_modules/.package-lock.json -a ! $$folder/package-lock.json -nt $$folder/node_modules/.package-lock.json \
	      || npm ci --prefix $$folder --loglevel error || exit 1; \
	  done; \
	  LINESIDE_CONFORMANCE=1 $(BIN)/python -m pytest $(CONFORMANCE) tests/drivers/opcua/test_node_opcua.py \
	    tests/drivers/sparkplug/test_node_client.py $(ARGS); \
	elif [ -n "$$CI" ]; then \
	  echo "npm is missing; install it: sudo apt-get install nodejs npm"; exit 1; \
	else \
	  echo "SKIPPED: the conformance checks need Node.js and npm (sudo apt-get install nodejs npm)"; \
	fi

# Faults on the daemon as a process; docs/reliability.md says what came of them. ROWS="1 7": only these, and nothing is written.
faults: $(VENV)/dev.stamp
	$(BIN)/python tests/faults $(if $(ROWS),$(ROWS:%=--row %),--write) $(ARGS)

faults-night: $(VENV)/dev.stamp
	$(BIN)/python tests/faults --night $(if $(ROWS),$(ROWS:%=--row %),--write) $(ARGS)
	LINESIDE_KILLS=60 LINESIDE_LIVES=200 LINESIDE_FAULTS=1 LINESIDE_SEED=$$(date +%s) LINESIDE_DISKS=1 \
	  $(BIN)/python -m pytest tests/faults tests/app/test_disk.py $(ARGS)
	LINESIDE_EXAMPLES=thorough $(BIN)/python -m pytest $(PARALLEL) -m hypothesis --timeout 600 $(ARGS)

# What the rows need beside the venv; whoever is not root is asked for a password.
FAULT_TOOLS := nbdkit nbdkit-plugin-python libnbd-bin fuse3 e2fsprogs mount nftables iproute2 mosquitto gcc libc6-dev
faults-setup:
	@sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  dpkg -s $(FAULT_TOOLS) >/dev/null 2>&1 || { $$sudo apt-get update -qq; \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(FAULT_TOOLS) >/dev/null; }

SUITES := bookworm trixie
lab: $(VENV)/dev.stamp
	@for each in mmdebstrap systemd-nspawn; do command -v $$each >/dev/null \
	  || { echo "$$each is missing; install it: sudo apt-get install mmdebstrap systemd-container"; exit 1; }; done
	LINESIDE_LAB="$(SUITES)" $(BIN)/python -m pytest tests/systemd/booted $(ARGS)

bench: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks $(ARGS)

bench-analytics: $(VENV)/dev.stamp
	@test -n "$(DATA)" || { echo "say where the recordings are: make bench-analytics DATA=folder"; exit 2; }
	$(BIN)/python -m benchmarks.analytics --data $(DATA) $(ARGS)

bench-vibration: $(VENV)/dev.stamp
	@test -n "$(DATA)" || { echo "say where the recordings are: make bench-vibration DATA=folder"; exit 2; }
	$(BIN)/python -m benchmarks.vibration --data $(DATA) $(ARGS)

wheel: $(VENV)/dev.stamp
	$(BIN)/python tests/packaging/smoke.py

DEBS := PYTHONPATH=packaging $(BIN)/python -m debs
deb: $(VENV)/dev.stamp
	$(DEBS) build $(if $(KEY),--key $(KEY)) $(ARGS)

deb-check: $(VENV)/dev.stamp
	$(DEBS) check $(ARGS)

# zstd is what dpkg of Debian 12 and 13 reads and Debian's own archive does not take: that is malformed to lintian.
deb-lint:
	lintian --allow-root --fail-on error --suppress-tags malformed-deb-archive $(ARGS) dist/deb/*.deb

# Needs qemu-user-static, and binfmt-support to have them installed; without the latter they are only unpacked.
deb-arm64-import: $(VENV)/dev.stamp
	$(DEBS) emulate $(ARGS)

# Hashes for every platform and Python; uv is only needed here. The files name no index.
lock: $(VENV)/dev.stamp
	$(PIP) install --quiet uv
	for part in gateway demo dev; do \
	  inputs=$$(test $$part = gateway && echo "--extra speed" || echo "--extra speed --extra $$part locks/build.in"); \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    $$inputs pyproject.toml -o locks/$$part.lock || exit 1; \
	done

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo-run $(CONFORMANCE)/node_modules $(PEERS:%=%/node_modules)

$(VENV)/demo.stamp $(VENV)/dev.stamp: $(VENV)/%.stamp: locks/%.lock pyproject.toml | $(BIN)/python
	@echo "installing what locks/$*.lock names into $(VENV) (once) ..."
	@$(PIP) install --quiet --require-hashes -r locks/$*.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Lineside needs Python 3.11 or newer; install it: sudo apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "python3-venv is missing; install it: sudo apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
