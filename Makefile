# Everything here sets itself up: a fresh machine needs Python 3.11+ (with venv) and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?= 2
# What runs in real time waits more than it works, but must not be kept waiting: the heavy ones come one after the other.
BESIDE ?= 2
# The suite is dozens of processes. Each would compile all of us anew where the environment forbids it to keep that.
export PYTHONDONTWRITEBYTECODE :=
# With TEST="..." one of the two runs may have nothing to do, which pytest says by 5.
OR_NONE = $(if $(TEST),|| test $$? -eq 5)
READY  := $(VENV)/.ready
OWN_UV := .cache/uv/bin/uv
UV     := $(or $(wildcard $(BIN)/uv),$(OWN_UV))

.PHONY: demo test test-long browser check format lock clean help

help:            ## this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(READY)   ## one call you can hear, on this machine, without a key
	@$(BIN)/frontdesk demo $(DEMO)

test: $(READY)   ## the whole test suite
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not real_time" $(LONG) $(TEST) $(OR_NONE)
	@$(BIN)/python -m pytest -n $(BESIDE) --dist loadfile -m real_time $(LONG) $(TEST) $(OR_NONE)

test-long: LONG := --long
test-long: test  ## the same with every repetition in full, as many as are promised anywhere

browser:         ## Debian's Chromium, without which the tests that look at the pages are skipped
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	    || (apt-get update -qq && apt-get install -qqy --no-install-recommends chromium) >/dev/null 2>&1 \
	    || echo "no Chromium, and apt may not install one here: the tests that look at the pages will be skipped"

check: $(READY)  ## format, lint, types, import contracts, lock: all that CI asks beside the tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python bench/check_lock.py

format: $(READY) ## put the code into the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(UV)      ## resolve the dependencies anew: pinned, hashed, without addresses
	@$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet --output-file requirements.lock

clean:           ## forget the environment and every cache
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(READY): requirements.lock pyproject.toml
	@echo "setting up $(VENV) (once; a minute or two) ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "frontdesk needs Python 3.11 to 3.13; say which: make PYTHON=python3.11")'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

# A lock that cannot be installed must not keep anybody from making a better one.
$(OWN_UV):
	@$(PYTHON) -m venv --clear .cache/uv
	@.cache/uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.7'
