# The short list. `make up` and `make test` install what they need and say what they do.
.PHONY: up test check bench soak clean help browser
.DEFAULT_GOAL := help

# uv from the path, or our own, put into .tools by pip.
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
BIN := .venv/bin
ARGS ?=

help:    ## Say what each command does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

up: .venv/.installed  ## Run the whole lake on this machine, from sources to dashboards (ARGS="--no-superset")
	@exec $(BIN)/lavra up $(ARGS)

# The tests wait more than they compute: two at a time, whatever the machine.
WORKERS ?= 2
test: .venv/.installed browser  ## Run every test but the long ones (ARGS="tests/lavra/local")
	$(BIN)/python -m tests.second_run --workers $(WORKERS) -m "not soak" $(ARGS)

check: .venv/.installed  ## Lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.installed  ## Time what must be fast, as ratios (ARGS="plan --strict"); --report writes docs/benchmarks.md
	@$(UV) sync --quiet --locked --inexact --group bench
	$(BIN)/python -m benchmarks $(ARGS)

soak: .venv/.installed browser  ## Run the long tests
	$(BIN)/pytest -m soak $(ARGS)

clean:   ## Stop the lake and remove what the commands above made, its data included
	@if [ -x $(BIN)/lavra ]; then $(BIN)/lavra down || true; fi
	rm -rf .lavra .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis test-artifacts

# The Python named in .python-version if it is there, else any that will do, else uv's own.
.venv/.installed: uv.lock pyproject.toml query_service/driver/pyproject.toml | $(UV)
	@echo "installing Lavra and what it needs into .venv"
	@python=$$($(UV) python find --no-project --no-python-downloads "$$(cat .python-version)" 2>/dev/null \
	  || $(UV) python find --no-project --no-python-downloads ">=3.11,<3.14" 2>/dev/null \
	  || cat .python-version); \
	$(UV) sync --quiet --locked --compile-bytecode --python "$$python"
	@touch $@

.tools/bin/uv:
	@echo "installing uv into .tools"
	@python3 -m venv .tools && .tools/bin/pip install --quiet uv \
	  || { rm -rf .tools; echo "python3 with venv and pip, or uv, must be installed first"; exit 1; }

# The browser tests need chromium. Only Debian as root gets it; elsewhere those tests are skipped.
browser:
	@if command -v chromium >/dev/null; then :; \
	elif [ -f /etc/debian_version ] && [ "$$(id -u)" = 0 ]; then \
	  echo "installing Debian's chromium for the browser tests"; \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null \
	    || echo "that failed: the browser tests will be skipped"; \
	else echo "no chromium here: the browser tests will be skipped"; fi
