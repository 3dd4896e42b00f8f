# The short list. `make up` and `make test` install what they need and say what they do.
.PHONY: up test check bench soak clean help
UV := $(shell command -v uv 2>/dev/null || echo .venv/bin/uv)
RUN := $(UV) run --no-sync

help:    ## Say what each command does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

up: .venv/.installed  ## Run the whole lake on this machine, from sources to dashboards
	$(RUN) lavra up

test: .venv/.installed  ## Run every test but the long ones
	$(RUN) pytest

check: .venv/.installed  ## Lint, format and types
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

clean:   ## Remove what the commands above made, lake included
	rm -rf .lavra .venv test-artifacts

.venv/.installed: uv.lock pyproject.toml
	@command -v uv >/dev/null || (echo "installing uv" && python3 -m venv .venv && .venv/bin/pip install -q uv)
	$(UV) sync --locked
	@touch $@
