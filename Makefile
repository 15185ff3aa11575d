# All commands of the project. `make` or `make help` lists them.
#
# Needed beforehand: Python 3.11 or newer with its `venv` module, make and a C compiler. Everything else is installed
# below this directory, from the exact versions and digests in requirements/.

PYTHON ?= python3
DATA_DIR ?= ./data
# More arguments for the command that a target ends with: make serve ARGS='--port 19531', make test ARGS='-k login'
ARGS ?=

SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

# uv leaves compiling to the first process that imports a module, which has to keep the result: tests start hundreds of
# processes, and each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

# Test files run side by side in so many processes; JOBS=0 runs them one after another, as a debugger wants them. Two cores
# are the measure. A third of the time, a process of `make test` waits for a lease, a deadline or a server: a third process uses that.
JOBS ?= $(if $(filter test test-heavy,$(MAKECMDGOALS)),3,2)
parallel := $(if $(filter-out 0,$(JOBS)),--numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder)

venv := .venv
milvus := .venv-milvus
envoy := .venv-envoy
auditing := .venv-audit
# Older clients, frameworks, and what checks deploy/, each from the lock of its name. The first test that needs one has it made.
clients := .venv-pymilvus24 .venv-pymilvus25 .venv-pymilvus26 .venv-frameworks .venv-scim .venv-deploy
bin := $(venv)/bin

# Environments are filled by uv, which takes a fifteenth of pip's processor time, and they share the files of a package. pip
# installs uv alone, by its digest. uv does not read pip's settings, so an index that is set there is handed on.
pip_setting = $$($(bin)/python -m pip config list | sed -n "s/^.*[.]$(1)='\(.*\)'$$/\1/p" | head -n 1)
uv = UV_SYSTEM_CERTS=1 UV_HTTP_TIMEOUT=300 \
	UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$(call pip_setting,index-url)}" \
	UV_INDEX="$${UV_INDEX:-$(call pip_setting,extra-index-url)}" \
	$(bin)/uv pip install --no-config --no-deps
uv_locked = $(uv) --quiet --require-hashes --python

# An environment belongs to the directory it was made in: its scripts and the editable install hold that path. One that
# was copied with its directory, or was interrupted while being made, is made again. Each later step leaves a stamp of its own.
environments := $(venv) $(clients) $(milvus) $(envoy) $(auditing)
$(foreach each,$(environments),$(if $(filter $(CURDIR),$(shell cat $(each)/.made-in 2>/dev/null)),,$(eval $(each)/.made-in: remake)))

.PHONY: help serve unit test test-heavy check-deploy fuzz row-policies replicas replica-faults backup-faults crashes keyboard token-rotation audit check format settings-table request-fields pictures stubs bench bench-quick bench-bounds bench-pass-through bench-workers lock clean remake

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F '|' '{ printf "%-20s %s\n", $$1, $$2 }'

serve: $(venv)/.run-ready ## run the server on its default port, with its files in ./data
	@echo 'starting the server: it says when it is ready'
	@exec $(bin)/kiteward serve --data-dir "$(DATA_DIR)" $(ARGS)

# ARGS may name other paths below tests/, and a `-m` in it takes precedence: make unit ARGS='tests/unit/milvus -m slow'
unit: $(venv)/.dev-ready ## run the unit tests without the slow ones; ARGS=tests/unit/domain names a part of them
	$(bin)/python -m pytest $(parallel) -m 'not slow' $(if $(filter tests/%,$(ARGS)),,tests/unit) $(ARGS)

# Paths in ARGS name what is run, heavy or not.
test: $(venv)/.dev-ready ## run the tests without the heavy ones; one with an older client or a framework has its environment made
	$(bin)/python -m pytest $(parallel) --ignore=tests/deploy $(if $(filter tests/%,$(ARGS)),,-m 'not heavy') $(ARGS)

test-heavy: $(venv)/.dev-ready ## run the heavy tests, which CI runs too
	$(bin)/python -m pytest $(parallel) --ignore=tests/deploy -m heavy $(ARGS)

# Helm, kubeconform, promtool and the Compose parser are built from source by the first test that needs one: a few minutes.
check-deploy: $(venv)/.dev-ready ## hold deploy/ against its tools, carry out the image's steps and run it; the latter as root
	$(bin)/python -m tests.deploy.tools
	$(bin)/python -m pytest --numprocesses 0 tests/deploy $(ARGS)

# Bounded in time by ARGS='--minutes 30'; a finding comes with the smallest request, and ARGS='--seed N' repeats a run.
FUZZ_REQUESTS ?= 1000000

fuzz: $(venv)/.dev-ready ## send a million mutated requests to servers of its own; FUZZ_REQUESTS says how many
	$(bin)/python -m tests.fuzz --requests $(FUZZ_REQUESTS) $(ARGS)

# ARGS='--seed N' repeats a run, ARGS='--race changes' and '--race reassignments' are about requests side by side.
ROW_POLICY_OPERATIONS ?= 1000000

row-policies: $(venv)/.dev-ready ## hold a million operations under row policies against a model; ROW_POLICY_OPERATIONS says how many
	$(bin)/python -m tests.row_policies --number $(ROW_POLICY_OPERATIONS) $(ARGS)

# ARGS='--seed N' repeats which server is asked for what, and '--workers N' says how many are made at a time.
REVOCATIONS ?= 10000

replicas: $(venv)/.dev-ready ## run 3,000 schedules, and make 10,000 revocations on three servers that share a store; REVOCATIONS says how many
	$(bin)/python -m tests.replicas --number $(REVOCATIONS) $(ARGS)

# ARGS='--seed N' repeats which faults are made, though not when, and '--logs DIRECTORY' keeps what the servers write.
FAULTS ?= 1000

replica-faults: $(venv)/.dev-ready ## make 1,000 faults of databases, servers, connections and clocks; FAULTS says how many
	$(bin)/python -m tests.replicas.faults --number $(FAULTS) $(ARGS)

# ARGS='--seed N' repeats what is killed, though not when; '--rows 20000' begins with large collections, and
# '--directory DIRECTORY' keeps the files.
BACKUPS ?= 200

backup-faults: $(venv)/.dev-ready ## make 200 backups of a server under writes, and kill both at random; BACKUPS says how many
	$(bin)/python -m tests.faults.backups --number $(BACKUPS) $(ARGS)

keyboard: $(venv)/.dev-ready ## walk through all states of the console's pages by Tab, and measure their layout; about eight minutes
	TESTS_EVERY_PAGE=1 $(bin)/python -m pytest --numprocesses 2 --dist load tests/console/test_states.py $(ARGS)

CRASHES ?= 400

crashes: $(venv)/.dev-ready ## kill a server 400 times while policies and collections change; CRASHES says how many
	TESTS_CRASH_ROUNDS=$(CRASHES) $(bin)/python -m pytest --numprocesses 0 $(wildcard tests/faults/test_crash_*.py) $(ARGS)

# ARGS='--rotations N --pause SECONDS' makes it longer, '--seed N' repeats which request carries which token.
token-rotation: $(venv)/.dev-ready ## change the keys of a Keycloak under 1,000 requests a second; about five minutes
	$(bin)/python -m tests.identity_providers.rotation $(ARGS)

audit: $(auditing)/.ready ## hold requirements/*.lock against known vulnerabilities; status 4: no source can be reached
	$(auditing)/bin/python .ci/audit.py

check: $(venv)/.dev-ready ## lint, format, types, layers and third-party imports; changes nothing
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/lint-imports
	$(bin)/python -m pytest --quiet tests/unit/test_third_party_imports.py tests/vocabulary
	$(bin)/python -m tests.vocabulary

format: $(venv)/.dev-ready ## apply the formatter and the safe fixes of the linter
	$(bin)/ruff check --fix-only .
	$(bin)/ruff format .

settings-table: $(venv)/.dev-ready ## write the table of settings in docs/configuration.md, and the chart's schema, from their rows
	$(bin)/python -m tests.docs.settings_table
	$(bin)/python -m tests.deploy.chart_schema

request-fields: $(venv)/.dev-ready ## write docs/request-fields.md from the operation table
	$(bin)/python -m tests.docs.request_fields_page

pictures: $(venv)/.dev-ready ## take the pictures of docs/walkthrough.md, and write what they show; needs chromium-headless-shell
	$(bin)/python -m tests.console.pictures

stubs: $(venv)/.dev-ready ## write stubs/, the types of the protocol's messages, from the pinned pymilvus
	$(bin)/python .ci/protocol_stubs.py

bench: $(venv)/.bench-ready $(milvus)/.ready ## the same with more turns, and the price of durability; takes a while
	$(bin)/python -m benchmarks.quick --rounds 9 --require-all $(ARGS)
	$(bin)/python -m benchmarks.listener
	$(bin)/python -m benchmarks.heads
	$(bin)/python -m benchmarks.engine_hop
	$(bin)/python -m benchmarks.durability

bench-quick: $(venv)/.bench-ready ## measure beside a bare Milvus Lite and a real Milvus 2.3.5, in about four minutes
	@$(MAKE) --no-print-directory $(milvus)/.ready || echo 'going on without Milvus 2.3.5' >&2
	$(bin)/python -m benchmarks.quick $(ARGS)

bench-bounds: $(venv)/.bench-ready ## measure beside an earlier commit; fails beyond 3 % of processor time
	$(bin)/python -m benchmarks.bounds $(ARGS)

bench-workers: $(venv)/.dev-ready ## measure two workers beside one, and two servers, in about two minutes
	$(bin)/python -m benchmarks.workers $(ARGS)

bench-pass-through: $(venv)/.dev-ready ## measure a call to a cluster beside v0.1, Envoy and nginx, in about seven minutes
	@$(MAKE) --no-print-directory $(envoy)/.ready || echo 'going on without Envoy' >&2
	$(bin)/python -m benchmarks.pass_through $(ARGS)

# Versions that a lock already holds stay unless they no longer fit; `make lock ARGS=--upgrade` moves all of them. Nothing
# younger than a week is taken: most releases that have to be withdrawn are withdrawn by then.
compile := $(bin)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--exclude-newer "7 days" --no-emit-index-url --custom-compile-command "make lock" $(ARGS)

lock: $(venv)/.dev-ready ## resolve requirements/*.lock again from pyproject.toml
	$(compile) pyproject.toml --extra tracing --group build --group dev --output-file requirements/dev.lock
	$(compile) pyproject.toml --constraints requirements/dev.lock --output-file requirements/run.lock
	$(compile) --group build --constraints requirements/dev.lock --output-file requirements/build.lock
	$(compile) --group uv --constraints requirements/dev.lock --output-file requirements/uv.lock
	$(compile) --group bench --constraints requirements/dev.lock --output-file requirements/bench.lock
	$(compile) --group pymilvus24 --excludes requirements/excluded.txt --output-file requirements/pymilvus24.lock
	$(compile) --group pymilvus25 --output-file requirements/pymilvus25.lock
	$(compile) --group pymilvus26 --excludes requirements/excluded.txt --output-file requirements/pymilvus26.lock
	$(compile) --group frameworks --excludes requirements/excluded-frameworks.txt --output-file requirements/frameworks.lock
	$(compile) --group scim --output-file requirements/scim.lock
	$(compile) --group milvus235 --output-file requirements/milvus235.lock
	$(compile) --group envoy --output-file requirements/envoy.lock
	$(compile) --group audit --output-file requirements/audit.lock
	$(compile) --group deploy --output-file requirements/deploy.lock

clean: ## remove the environments and caches; data/ stays
	rm -rf $(environments) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf .cache tests/compat/node/node_modules tests/compat/langchainjs/node_modules
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

remake:

%/.made-in:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Kiteward needs Python 3.11 or newer: make PYTHON=python3.12 ...' >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' \
		|| { echo 'this Python cannot make environments: on Debian, install python3-venv' >&2; exit 1; }
	@echo 'making the environment $*'
	@"$(PYTHON)" -m venv --clear $(if $(filter-out $(venv),$*),--without-pip) "$*"
	@printf '%s\n' "$(CURDIR)" >"$@"

$(venv)/.uv-ready: $(venv)/.made-in requirements/uv.lock
	@echo 'installing uv into $(venv), which installs the rest'
	@$(bin)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps -r requirements/uv.lock
	@touch "$@"

$(venv)/.run-ready: $(venv)/.uv-ready requirements/build.lock requirements/run.lock pyproject.toml
	@echo 'installing what the server needs into $(venv), once: seconds where it was downloaded before, else a minute'
	@$(uv) --require-hashes --python $(venv) -r requirements/build.lock -r requirements/run.lock
	@echo 'installing Kiteward into $(venv)'
	@$(uv) --quiet --python $(venv) --no-build-isolation --editable .
	@touch "$@"

$(venv)/.dev-ready: $(venv)/.run-ready requirements/dev.lock
	@echo 'installing what tests and checks need into $(venv)'
	@$(uv_locked) $(venv) -r requirements/dev.lock
	@touch "$@"

$(venv)/.bench-ready: $(venv)/.dev-ready requirements/bench.lock
	@$(uv_locked) $(venv) -r requirements/bench.lock
	@touch "$@"

$(clients:%=%/.ready): .venv-%/.ready: .venv-%/.made-in requirements/%.lock | $(venv)/.dev-ready
	@echo 'installing requirements/$*.lock into .venv-$*'
	@$(uv_locked) .venv-$* -r requirements/$*.lock
	@touch "$@"

$(milvus)/.ready: $(milvus)/.made-in requirements/milvus235.lock | $(venv)/.dev-ready
	@echo 'installing requirements/milvus235.lock into $(milvus)'
	@$(uv_locked) $(milvus) -r requirements/milvus235.lock
	@touch "$@"

$(envoy)/.ready: $(envoy)/.made-in requirements/envoy.lock | $(venv)/.dev-ready
	@echo 'installing requirements/envoy.lock into $(envoy)'
	@$(uv_locked) $(envoy) -r requirements/envoy.lock
	@touch "$@"

$(auditing)/.ready: $(auditing)/.made-in requirements/audit.lock | $(venv)/.dev-ready
	@echo 'installing requirements/audit.lock into $(auditing)'
	@$(uv_locked) $(auditing) -r requirements/audit.lock
	@touch "$@"
