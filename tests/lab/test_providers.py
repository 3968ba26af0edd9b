"""The whole reference stack on one host: all four providers behind the gateway, changed one at a time."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.lab import hardening
from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, ask, deploy, failures, files_changed_by, main_pids, verdict
from tests.lab.openai_client import answers_by_the_report
from tests.labhost import Lab, LabHost
from tests.labhost.files import lab_vllm_model
from tests.labhost.paths import REPOSITORY

WHOLE = REPOSITORY / "inventory/lab.py"
SERVERS = [
    "ollama.service",
    "vllm@tiny.service",
    "llama-cpp-python@python.service",
    "llama-server@native.service",
    "ai-backend-front.service",
    "litellm@a.service",
    "litellm@b.service",
]
SAY = {
    "tiny-ollama:latest": "This is a model that Ollama serves",
    "tiny-vllm": "This is the vLLM server",
    "gpt-4o": "This is the vLLM server",
    "tiny-python": "This is the Python llama server",
    "tiny-native": "This is the native llama server",
}


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    """A host that the whole stack was deployed to once."""
    host = new_module_host("whole", prepared=True)
    deploy(host, inventory=WHOLE).must_pass()
    return host


def changed_stack(folder: Path, *changes: str) -> Path:
    """An inventory that is the whole stack with something else in it: statements over `providers` and `options`."""
    path = folder / "changed.py"
    lines = [
        "from inventory.lab import *",
        "from roles.llama_cpp import *",
        "providers = {provider.name: provider for provider in stack.providers}",
        *changes,
        "hosts = [lab_host(stack.model_copy(update={'providers': tuple(providers.values())}))]",
    ]
    path.write_text("\n".join(lines))
    return path


def restarted(host: LabHost, inventory: Path) -> set[str]:
    before = main_pids(host, SERVERS)
    deploy(host, inventory=inventory).must_pass()
    after = main_pids(host, SERVERS)
    return {unit for unit in SERVERS if before[unit] != after[unit]}


def test_every_provider_answers_by_its_own_words(host: LabHost) -> None:
    found = verdict(host)
    assert failures(found) == []
    assert {model: ask(host, model) for model in SAY} == SAY
    ids = {check["id"] for check in found["checks"]}
    assert {f"unit/{unit}/digest" for unit in SERVERS} | {"unit/ollama-models.service/done"} <= ids


def test_openais_client_works_for_every_route_by_what_the_report_says(host: LabHost) -> None:
    answered = answers_by_the_report(host)
    assert answered.keys() == SAY.keys()
    assert all(SAY[name] in answer for name, answer in answered.items())


def test_requests_are_counted_by_route_where_only_root_and_the_gateway_may_read(host: LabHost) -> None:
    ask(host, "gpt-4o")
    time.sleep(6)  # the gateway writes every 5 seconds
    total = verdict(host)["usage"]["total"]
    assert {row["route"] for row in total if row["requests"] and row["tokens_out"]} >= SAY.keys() - {"gpt-4o"}
    assert host.run("cd /var/lib/ai-backend/usage && stat -c '%a %U' . usage.sqlite").stdout.splitlines() == [
        "700 ai-backend-gateway",
        "600 ai-backend-gateway",
    ]


def test_each_route_does_what_client_programs_ask_and_refuses_their_mistakes(host: LabHost) -> None:
    found = verdict(host, verifier="/etc/ai-backend/bin/verify --apis")
    assert failures(found) == []
    asked = {check["id"].split("/")[1] for check in found["checks"] if "/apis/" in check["id"]}
    assert asked == SAY.keys() - {"gpt-4o"}  # an alias
    assert found["seconds"] < 60


def test_vllms_model_is_from_the_hub_at_a_commit_that_is_recorded(host: LabHost, lab: Lab) -> None:
    repository = lab_vllm_model(lab.folders)
    model = f"/etc/ai-backend/install/model-{repository.removeprefix('lab/')}-*"
    record = host.run(f"cat {model}/.revision.json").stdout
    assert f'"repository": "{repository}", "revision": "main", "commit": "' in record
    quantized = '"quant_method": "awq"' in host.run(f"cat {model}/config.json").stdout
    assert quantized == (repository == "lab/tiny-awq")


def test_each_unit_may_do_what_the_documentation_says_and_no_more(host: LabHost, pytestconfig: pytest.Config) -> None:
    ratings = hardening.rated(host, [*SERVERS, "ollama-models.service", hardening.FIREWALL, hardening.VERIFIER])
    for unit, (exposure, relaxed) in ratings.items():
        limit = hardening.VERIFIERS_LIMIT if unit == hardening.VERIFIER else hardening.LIMIT
        assert exposure <= limit, (unit, relaxed)
    assert max(ratings[unit][0] for unit in ("litellm@a.service", "llama-server@native.service")) <= 0.9
    assert ratings["ai-backend-front.service"][0] <= 1.1
    head, rest = hardening.DOCS.read_text().split(hardening.BEGIN)
    written, tail = rest.split(hardening.END)
    shown = hardening.table(ratings)
    if pytestconfig.getoption("--write-golden"):
        hardening.DOCS.write_text(f"{head}{hardening.BEGIN}{shown}{hardening.END}{tail}")
    else:
        assert written == shown, "run this test with --write-golden and read the diff"
    # systemd knows each directive.
    ours = "-u 'litellm@*' -u 'vllm@*' -u 'llama-*' -u 'ollama*' -u 'ai-backend-*'"
    said = host.run(f"journalctl -b --no-pager -o cat _PID=1 {ours}").stdout
    assert not [line for line in said.splitlines() if "nknown" in line or "gnoring" in line]


TRAP = """
import os
os.close(os.open(f"/run/sprung/{__name__}", os.O_CREAT))
"""
SPRING_TRAPS = f"""
set -e
mkdir -p /run/trap/roles /run/trap/httpx /run/trap/bin /run/sprung
cd /run/trap
for name in roles/__init__ httpx/__init__ json argparse sitecustomize usercustomize; do
    printf '%s' '{TRAP}' > $name.py
done
for name in systemctl journalctl hostname timedatectl python3; do
    printf '#!/bin/sh\\ntouch /run/sprung/%s\\n' $name > bin/$name; chmod 755 bin/$name
done
export PATH=/run/trap/bin:$PATH PYTHONPATH=/run/trap PYTHONSTARTUP=/run/trap/json.py
"""


def test_root_runs_nothing_of_the_folder_and_the_environment_that_it_calls_the_verifier_from(host: LabHost) -> None:
    done = host.run(f"{SPRING_TRAPS}\n/etc/ai-backend/bin/verify --json", timeout=120)
    assert failures(json.loads(done.stdout)) == []
    assert host.run("ls /run/sprung").stdout == ""
    # They are traps.
    host.run(f"{SPRING_TRAPS}\n/usr/bin/python3 -c 'import json'; systemctl")
    assert {"json", "sitecustomize", "systemctl"} <= set(host.run("ls /run/sprung; rm -r /run/trap").stdout.split())


def test_no_file_of_the_verifiers_packages_is_run_by_being_there(host: LabHost) -> None:
    found = host.run(
        "find -L /etc/ai-backend/install/verifier-env/lib -name '*.pth' -exec grep -H '^import' {} +", check=False
    )
    assert found.stdout == ""
    assert "litellm" not in host.run("ls /etc/ai-backend/install/verifier-env/lib/python3.*/site-packages").stdout


def test_a_second_run_changes_nothing(host: LabHost) -> None:
    pids = main_pids(host, SERVERS)
    outputs = []
    changed = files_changed_by(host, lambda: outputs.append(deploy(host, inventory=WHOLE).must_pass()))
    assert outputs[0].results() == dict.fromkeys(OPERATIONS, "No changes")
    assert changed == []
    assert main_pids(host, SERVERS) == pids


def test_another_llama_cpp_server_restarts_nothing_else(host: LabHost, tmp_path: Path) -> None:
    second = "providers['second'] = providers['native'].model_copy(update={'name': 'second', 'port': 8081})"
    assert restarted(host, changed_stack(tmp_path, second)) == set()
    assert host.run("systemctl is-active llama-server@second").stdout == "active\n"
    assert restarted(host, WHOLE) == set()
    assert host.run("systemctl is-active llama-server@second", check=False).stdout == "inactive\n"


def test_one_option_of_vllm_restarts_it_alone(host: LabHost, tmp_path: Path) -> None:
    option = "providers['tiny'] = providers['tiny'].model_copy(update={'max_num_seqs': 2})"
    assert restarted(host, changed_stack(tmp_path, option)) == {"vllm@tiny.service"}
    assert failures(verdict(host)) == []


def test_killing_vllms_engine_brings_all_of_it_up_again(host: LabHost) -> None:
    """EngineCore is a child that does the work; a server without it must not stay, nor its remains."""
    before = main_pids(host, SERVERS)["vllm@tiny.service"]
    host.run("pkill -KILL -f VLLM::EngineCore")
    changed = f'[ "$(systemctl show -P MainPID vllm@tiny)" != {before} ]'
    host.run(f"timeout 60 sh -c 'until {changed}; do sleep 0.5; done'", timeout=70)
    assert failures(verdict(host)) == []
    assert ask(host, "tiny-vllm") == SAY["tiny-vllm"]
    cores = host.run("pgrep -fc VLLM::EngineCore").stdout
    assert cores == "1\n"


def test_after_a_reboot_all_of_it_answers(host: LabHost) -> None:
    deploy(host, inventory=WHOLE).must_pass()
    before = host.boot_id()
    host.reboot()
    found = verdict(host)
    assert failures(found) == []
    assert found["boot_id"] == host.boot_id() != before
    assert {model: ask(host, model) for model in SAY} == SAY
    assert deploy(host, inventory=WHOLE).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")
