"""The whole reference stack on one host: all four providers behind the gateway, changed one at a time."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import httpx
import pytest

from roles.fit.checkpoint import facts_of_checkpoint
from roles.fit.vllm import VllmSettings, cached_tokens
from tests.clients.programs import rounds, run
from tests.lab import client_programs, hang_ups, hardening, mistakes
from tests.lab.client_programs import EXCEPTIONS, deploy_for_programs, surprises
from tests.lab.conftest import NewHost
from tests.lab.counted import counted, wait_until_counted
from tests.lab.deploys import OPERATIONS, ask, deploy, failures, files_changed_by, main_pids, verdict
from tests.lab.openai_client import answers_by_the_report
from tests.lab.traffic import Gateway, send
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

FRONT_AND_INSTANCES = "pgrep -x haproxy; pgrep -f [s]tart-litellm"
MORE_MIB = 100
"""That a process of the front or of the instances may take while 500 clients ask at once."""


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


def test_vllm_caches_as_many_tokens_as_the_memory_plan_says(host: LabHost) -> None:
    log = host.run("journalctl -b --no-pager -o cat -u vllm@tiny.service | grep -F 'KV cache size: '").stdout
    said = re.findall(r"KV cache size: ([\d,]+) tokens", log)[-1]
    config = json.loads(host.run("cat /etc/ai-backend/install/model-tiny-*/config.json").stdout)
    facts, settings = facts_of_checkpoint(config, {}), VllmSettings(context=512, sequences=4, cache_bytes=256 << 20)
    assert cached_tokens(facts, settings, 256 << 20) == pytest.approx(int(said.replace(",", "")), rel=0.02)


def test_vllm_gives_logprobs_and_lives(host: LabHost) -> None:
    """It compiles code for them at the first request, with packages that a host without a GPU must have for that."""
    before = main_pids(host, ["vllm@tiny.service"])
    (answer,) = send(host, "tiny-vllm", logprobs=True, top_logprobs=2)
    assert (answer.words, answer.origin) == (SAY["tiny-vllm"], "tiny-vllm@tiny")
    assert main_pids(host, ["vllm@tiny.service"]) == before


@pytest.mark.soak
def test_what_one_client_gets_wrong_changes_nothing_for_another(host: LabHost, soak: bool) -> None:
    before = main_pids(host, SERVERS)
    assert asyncio.run(mistakes.wrongs(Gateway(host), all_streamed=soak)) == []
    assert main_pids(host, SERVERS) == before


@pytest.mark.soak
def test_a_client_that_hangs_up_frees_its_servers_slot(host: LabHost, soak: bool) -> None:
    gateway = Gateway(host)
    # In `make test` other hosts use the same processors.
    rounds, limit = (50, 2.0) if soak else (5, 4.0)
    with hang_ups.slow_server(host):
        assert asyncio.run(hang_ups.long_answer(gateway)) > 2 * limit
        seconds = {
            kind: [asyncio.run(hang_ups.seconds_until_free(gateway, *kind)) for _ in range(rounds)]
            for kind in hang_ups.KINDS
        }
    assert max(max(each) for each in seconds.values()) < limit, seconds


async def post(gateway: Gateway, body: Mapping[str, object]) -> httpx.Response:
    async with gateway.client() as client:
        return await gateway.post(client, "/v1/chat/completions", json.dumps(body).encode())


def test_one_request_is_found_in_all_logs_and_its_content_in_none(host: LabHost) -> None:
    said = "a-secret-of-the-client"
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "title": said}}}
    (good,) = send(host, "tiny-native", messages=[{"role": "user", "content": said}])
    wrong = {"model": "tiny-native", "messages": [{"role": "user", "content": said}], "temperature": said}
    failed, denied = (asyncio.run(post(gateway, wrong)) for gateway in (Gateway(host), Gateway(host, key="sk-wrong")))
    assert (good.status, failed.status_code, denied.status_code) == (200, 400, 401)
    ids = [answer.headers["x-request-id"] for answer in (good, failed)]
    # By LiteLLM and by the front.
    assert failed.json()["error"]["litellm_call_id"] == ids[1]
    assert denied.json()["error"]["request_id"] == denied.headers["x-request-id"]
    journal = "journalctl -b --no-pager -o cat -u ai-backend-front"
    lines = [json.loads(host.run(f"{journal} | grep -F {name}").stdout) for name in ids]
    expected = {"method": "POST", "path": "/v1/chat/completions", "route": "tiny-native"}
    assert {**expected, "status": 200, "deployment": "tiny-native@native", "fallbacks": "0"}.items() <= lines[0].items()
    assert lines[1]["status"] == 400
    assert all(line["ms"] >= line["first_byte_ms"] >= 0 and line["answer_bytes"] > 0 for line in lines)
    litellms = "journalctl -b --no-pager -o cat -u litellm@a -u litellm@b"
    assert host.run(f"{litellms} | grep -cF {ids[0]}", check=False).stdout == "0\n"
    (reason,) = host.run(f"{litellms} | grep -F {ids[1]}").stdout.splitlines()
    assert "`temperature` must be" in reason
    assert len(reason) < 1000
    by_vllm = send(host, "tiny-vllm", messages=[{"role": "user", "content": said}], stop=[said])
    by_vllm += send(host, "tiny-vllm", stream=True, response_format=schema)
    assert [(answer.status, answer.origin) for answer in by_vllm] == [(200, "tiny-vllm@tiny")] * 2
    for answer in by_vllm:
        vllms = f"journalctl -b --no-pager -o cat -u vllm@tiny | grep -F {answer.headers['x-request-id']}"
        (line,) = host.run(vllms).stdout.splitlines()
        assert "Added request" in line
    key = "$(cut -d'\"' -f2 /var/lib/ai-backend/secrets/master-key.env)"
    # By a digest of it the front knows a key; nothing is logged of either.
    assert host.run(f'journalctl -b --no-pager | grep -cF -e {said} -e "{key}"', check=False).stdout == "0\n"


def resident(host: LabHost, kind: Literal["VmRSS", "VmHWM"]) -> dict[int, float]:
    """Process of the front and of the instances → MiB of its memory, now or at most since `clear_refs` was written."""
    lines = host.run(f"for process in $({FRONT_AND_INSTANCES}); do grep -H {kind} /proc/$process/status; done").stdout
    return {int(line.split("/")[2]): int(line.split()[1]) / 1024 for line in lines.splitlines()}


@pytest.mark.soak_only
def test_of_500_clients_at_once_each_is_answered_or_told_when_to_come_again(host: LabHost, tmp_path: Path) -> None:
    options = "{'max_in_flight': 4, 'max_waiting': 50, 'max_wait': 10, 'connections_per_source': 1000}"
    gateway = f"stack = stack.model_copy(update={{'gateway': stack.gateway.model_copy(update={options})}})"
    deploy(host, inventory=changed_stack(tmp_path, gateway)).must_pass()
    send(host, "tiny-native", 20, 4)  # each process has what it needs for its first requests
    before = resident(host, "VmRSS")
    host.run(f"for process in $({FRONT_AND_INSTANCES}); do echo 5 >/proc/$process/clear_refs; done")
    answers = send(host, "tiny-native", 500, 500)
    most = resident(host, "VmHWM")
    deploy(host, inventory=WHOLE).must_pass()
    print(Counter(answer.status for answer in answers), before, most)
    assert {answer.status for answer in answers} <= {200, 429, 503}
    assert all(answer.words == SAY["tiny-native"] for answer in answers if answer.status == 200)
    refused = [answer for answer in answers if answer.status != 200]
    assert refused
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert all(answer.headers["content-type"] == "application/json" for answer in refused)
    # Those that wait as long as they may, and the time of one answer.
    assert max(answer.seconds for answer in answers) < 30
    assert most.keys() == before.keys()
    assert max(most[process] - before[process] for process in most) < MORE_MIB, (before, most)


def test_what_litellm_itself_does_otherwise_is_as_documented(host: LabHost) -> None:
    """In `docs/clients.md`, each with what to do instead. One that fails here works at last: take it out there."""
    key = "$(cut -d'\"' -f2 /var/lib/ai-backend/secrets/master-key.env)"
    curl = f'curl -sS -H "Authorization: Bearer {key}" http://127.0.0.1:4000/v1/'
    found = {name: json.loads(host.run(f"{curl}models/{name}").stdout) for name in ("tiny-vllm", "gpt-4o")}
    assert "gpt-4o" in {model["id"] for model in json.loads(host.run(f"{curl}models").stdout)["data"]}
    assert found["tiny-vllm"]["id"] == "tiny-vllm"
    assert found["gpt-4o"]["detail"] == "Model 'gpt-4o' not found in router configuration"
    body = json.dumps({"model": "tiny-native", "prompt": "Who are you?", "max_tokens": 64, "stream": True})
    lines = host.run(f"{curl}completions -H 'Content-Type: application/json' -d '{body}'").stdout.splitlines()
    events = [line.removeprefix("data: ") for line in lines if line and line != "data: [DONE]"]
    *choices, last = [choice for event in events for choice in json.loads(event)["choices"]]
    assert "".join(choice["text"] for choice in choices).strip() == SAY["tiny-native"]
    assert last["finish_reason"]
    assert last.get("text") is None


def test_requests_are_counted_by_route_where_only_root_and_the_gateway_may_read(host: LabHost) -> None:
    before = counted(host, "master")
    ask(host, "gpt-4o")
    wait_until_counted(host, "master", before + 1)
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


@pytest.mark.soak_only
def test_client_programs_work_as_documented(host: LabHost, lab: Lab, tmp_path: Path) -> None:
    """Some of them; `test_client_matrix.py` has all, with each server."""
    endpoint = deploy_for_programs(host)
    for library in EXCEPTIONS:
        for model in ("tiny-native", "tiny-tools") if library == "openai-python" else ("tiny-vllm",):
            found = rounds(lab.folders, library, endpoint, model, tmp_path / f"{library}-{model}")
            assert surprises(library, model, found) == "", (library, model)
    for program in ("curl", "openai-python", "openai-js", "anthropic-python", "langchain", "llama-index", "llm"):
        said = run(lab.folders, program, endpoint, "tiny-python", tmp_path / program)
        assert SAY["tiny-python"] in said.output, said.output
    for program in ("codex", "continue"):
        said = run(lab.folders, program, endpoint, "tiny-agents", tmp_path / program)
        assert client_programs.SAY["tiny-agents"] in said.output, said.output


def test_after_a_reboot_all_of_it_answers(host: LabHost) -> None:
    deploy(host, inventory=WHOLE).must_pass()
    before = host.boot_id()
    host.reboot()
    found = verdict(host)
    assert failures(found) == []
    assert found["boot_id"] == host.boot_id() != before
    assert {model: ask(host, model) for model in SAY} == SAY
    assert deploy(host, inventory=WHOLE).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")
