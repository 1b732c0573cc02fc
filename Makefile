# Everything a newcomer needs: `make run`, `make demo`, `make test`. Each does its own set-up.

PYTHON ?= $(shell for p in /usr/bin/python3 python3; do command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
ROOT ?= var
SECONDS ?= 60
# of the tests, which mostly wait; WORKERS=0: one after the other, in one process
WORKERS ?= $(shell n=$$(nproc); echo $$((n < 6 ? n + 2 : 8)))
# Whoever forbids bytecode pays for it at each start of each process: a gateway is eight of them, the tests start hundreds
export PYTHONDONTWRITEBYTECODE :=
SOURCES := pyproject.toml $(wildcard cext/*.pyx cext/*.pxd cext/include/*.h)

PEERS := exim4-daemon-light exim4-base opensmtpd

.PHONY: build run demo test suite pictures check peers corpus fuzz sanitize bench clean

build: $(VENV)/built

$(VENV)/built: $(SOURCES) packages.debian requirements.lock
	./install-packages build
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock "setuptools>=80" cython
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --no-build-isolation --editable '.[dev]'
	touch $@

run: build
	$(BIN)/mailward dev run --root $(ROOT)

demo: build
	$(BIN)/mailward dev demo --root $(ROOT)/demo

check: build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: build
	./install-packages test
	$(MAKE) --no-print-directory --jobs=2 check suite

suite:
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# Every page in every look, for people to look at: build/screenshots
pictures: build
	./install-packages test
	mkdir -p build/screenshots
	MAILWARD_PICTURES=$(CURDIR)/build/screenshots $(BIN)/python -m pytest -n $(WORKERS) tests/control/test_every_page.py tests/control/*look*.py tests/system/test_browser.py

# Mail between Exim, OpenSMTPD and the gateway, each as client and as next hop; as root, for users and folders of their own
peers: build build/peers
	./install-packages test
	tests/peers/room build/peers $(BIN)/python -m pytest -q -p no:cacheprovider tests/peers/cases_*.py

build/peers:
	mkdir -p build/packages
	cd build/packages && apt-get download $(PEERS)
	for package in build/packages/*.deb; do dpkg-deb -x $$package build/peers; done

# Real messages and archives of others, with expected results: make corpus DATA=folder
corpus: build
	./install-packages corpus
	MAILWARD_DATA=$(abspath $(DATA)) $(BIN)/python -m pytest --timeout=0 tests/corpus

# Every parser, or one (TARGET=name), for SECONDS each, kernels under sanitizers; REPLAY=file runs one input of TARGET
fuzz: build
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock atheris
	$(BIN)/python tests/sanitize/build.py -m tests.fuzz.run --seconds $(SECONDS) --work $(CURDIR)/build/fuzz \
		$(addprefix --target ,$(TARGET)) $(if $(REPLAY),--replay $(abspath $(REPLAY)))

# The kernels with AddressSanitizer and UndefinedBehaviorSanitizer: their tests, the walk, every fuzz target, DATA=folder.
# How much memory is needed cannot be told here: what is freed is kept, so that its use is found
sanitize: build
	$(BIN)/python tests/sanitize/build.py -m pytest -q --timeout=0 tests/cext tests/engine/scan tests/fuzz \
		--deselect tests/engine/scan/test_mapped.py::test_a_large_message_needs_the_memory_of_its_largest_part
	$(if $(DATA),MAILWARD_DATA=$(abspath $(DATA)) $(BIN)/python tests/sanitize/build.py -m pytest -q --timeout=0 tests/corpus)

bench: build
	./install-packages test
	$(BIN)/python -m bench.gateway --small

clean:
	rm -rf $(VENV) build var *.egg-info cext/*.c cext/*.so
