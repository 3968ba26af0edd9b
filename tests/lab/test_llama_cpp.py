"""llama.cpp on a real host: servers side by side, from a build and from a release, and a Python server with models.

No card is here. Where a host must have one, its `nvidia-smi` is a script that repeats what a real one said.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roles.llama_cpp.arguments import CACHE_TYPES, model_settings, switches, valued_options
from roles.llama_cpp.options import PYTHON_VERSION
from roles.options import SystemScope
from roles.plan import layout_of, read_lock
from roles.verify.doctor import SIGNS
from tests.lab.conftest import NewHost
from tests.lab.deploys import Run, ask, deploy, failures, inventory_file, verdict
from tests.lab.llama_cpp_stack import ARCHIVE, KEYS, LOCK, SENTENCES, TEMPLATES, WHEEL, Served
from tests.lab.openai_client import answers_by_the_report
from tests.labhost import Lab, LabHost
from tests.labhost.faulty_mirror import FaultyMirror
from tests.labhost.models import write_tiny_gguf
from tests.stacks import native, python

PORTS = {"keyed": 8081, "python": 8000}
NATIVE_UNITS = [f"llama-server@{name}.service" for name in ("plain", "keyed", "embedder", "caller")]
PYTHON_UNIT = "llama-cpp-python@python.service"
RECORDING = Path(__file__).parents[1] / "unit/gpu_recordings/one_card"


PACK_WHEEL = """
import pathlib, sys, zipfile
packages = next(pathlib.Path("/etc/ai-backend/install/llama-cpp-python/lib").glob("python3.*")) / "site-packages"
files = {path: path.relative_to(packages) for path in packages.glob("llama_cpp*/**/*") if path.is_file()}
libraries = pathlib.Path("/etc/ai-backend/install/llama-cpp/bin").glob("lib*.so*")
files |= {path: pathlib.Path("llama_cpp/lib", path.name) for path in libraries}
with zipfile.ZipFile(sys.stdout.buffer, "w") as wheel:
    for path, name in files.items():
        if "__pycache__" not in name.parts:
            wheel.write(path, name)
"""


class Deployed:
    """A host with the stack, and what its inventories refer to."""

    def __init__(self, host: LabHost, mirror: FaultyMirror, folder: Path) -> None:
        self.host = host
        self._mirror = mirror
        self._folder = folder

    def deploy(self, **options: Any) -> Run:
        text = (
            "from tests.lab.llama_cpp_stack import llama_cpp_stack\n"
            f"hosts = [lab_host(llama_cpp_stack({self._served()!r}, **{options!r}))]\n"
        )
        return deploy(self.host, inventory=inventory_file(self._folder, text))

    def pack_release(self) -> None:
        """Pack the build's programs and libraries as the project packs its releases."""
        folder = "/etc/ai-backend/install/llama-cpp/bin"
        tar = f"tar --create --gzip --transform 's,^\\.,llama-b1,' --directory {folder} ."
        with (self._mirror.folder / ARCHIVE).open("wb") as archive:
            subprocess.run(self.host.ssh_command(tar), stdout=archive, check=True, timeout=60)

    def pack_wheel(self) -> Path:
        """Pack the bindings and the build's libraries as one wheel, and the requirements that pin it: their file."""
        with (self._mirror.folder / WHEEL).open("wb") as wheel:
            command = self.host.ssh_command("python3 -c", shlex.quote(PACK_WHEEL))
            subprocess.run(command, stdout=wheel, check=True, timeout=60)
        url, sha256 = self._served()[WHEEL]
        pinned = f"llama-cpp-python[server] @ {url} --hash=sha256:{sha256}\n"
        shipped = read_lock("llama_cpp", f"llama-cpp-python-{PYTHON_VERSION}")
        lock = self._folder / LOCK
        lock.write_text(re.sub(r"^llama-cpp-python(.*\\\n)*.*\n", pinned, shipped, flags=re.MULTILINE))
        return lock

    def _served(self) -> Served:
        return {
            file.name: (f"{self._mirror.url}/{file.name}", hashlib.sha256(file.read_bytes()).hexdigest())
            for file in self._mirror.folder.iterdir()
        }


@pytest.fixture(scope="module")
def deployed(lab: Lab, new_module_host: NewHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("served")
    for name, says in SENTENCES.items():
        write_tiny_gguf(folder / name, says=says, name=Path(name).stem, template=TEMPLATES.get(name, "plain"))
    host = new_module_host("llama", prepared=True)  # the mirror's address is there while a host is
    address = lab.mirror_url.removeprefix("http://").partition(":")[0]
    with FaultyMirror(folder, address) as mirror, pytest.MonkeyPatch.context() as patch:
        for variable, key in KEYS.items():
            patch.setenv(variable, key)
        deployed = Deployed(host, mirror, tmp_path_factory.mktemp("inventory"))
        deployed.deploy().must_pass()
        deployed.pack_release()
        yield deployed


@pytest.fixture
def with_a_card(deployed: Deployed) -> Iterator[None]:
    """The host's nvidia-smi tells of a card, in words that a real one used."""
    folder = "/opt/recorded-card"
    deployed.host.run(f"mkdir -p {folder}")
    for name in ("query-gpu", "query-compute-apps", "version"):
        deployed.host.run(f"cat > {folder}/{name}", input=(RECORDING / name).read_text())
    script = f'#!/bin/sh\nname=${{1#--}}\nexec cat "{folder}/${{name%%=*}}"\n'
    deployed.host.run("cat > /usr/local/bin/nvidia-smi; chmod 755 /usr/local/bin/nvidia-smi", input=script)
    yield
    deployed.host.run("rm /usr/local/bin/nvidia-smi")


def main_pids(host: LabHost, *units: str) -> list[str]:
    return [host.run(f"systemctl show -P MainPID '{unit}'").stdout.strip() for unit in units]


def status_of(host: LabHost, port: int, path: str, key: str | None = None) -> int:
    header = f"-H 'Authorization: Bearer {key}'" if key else ""
    body = json.dumps({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4})
    data = f"-H 'Content-Type: application/json' -d '{body}'" if path.endswith("completions") else ""
    command = f"curl -s -o /dev/null -w '%{{http_code}}' {header} {data} http://127.0.0.1:{port}{path}"
    return int(host.run(command).stdout)


def still_answers(deployed: Deployed) -> None:
    assert ask(deployed.host, "plain") == "This is the native llama server"
    assert failures(verdict(deployed.host)) == []


def test_every_option_is_one_that_llama_server_knows(deployed: Deployed) -> None:
    known = deployed.host.run("/etc/ai-backend/install/llama-cpp/bin/llama-server --help 2>&1").stdout
    server, layout = native(), layout_of(SystemScope())
    own = ["--host", "--port", "--model", "--alias", "--ctx-size", "--parallel", "--chat-template-file", "--no-webui"]
    flags = [*own, *valued_options(server, layout), *switches(server)]
    words = known.replace(",", " ").split()
    assert [flag for flag in flags if flag not in words] == []


def test_every_setting_is_one_that_the_python_server_knows(deployed: Deployed) -> None:
    program = (
        "import json, llama_cpp; from llama_cpp.server.settings import Settings\n"
        "print(json.dumps([sorted(Settings.model_fields), {n: getattr(llama_cpp, n, None) for n in dir(llama_cpp) "
        "if n.startswith('GGML_TYPE_')}]))"
    )
    environment = "LLAMA_CPP_LIB_PATH=/etc/ai-backend/install/llama-cpp/bin"
    said = deployed.host.run(f"{environment} /etc/ai-backend/install/llama-cpp-python/bin/python -", input=program)
    known, types = json.loads(said.stdout)
    server = python(
        threads=1, batch_size=1, flash_attention=True, cache_type_k="q8_0", cache_type_v="q8_0", embedding=True,
        chat_format="mtmd", chat_template_kwargs={"a": 1}, mmproj=python().model,
    )  # fmt: skip
    (model,) = server.declared
    settings = model_settings(model, server, layout_of(SystemScope()))
    assert [name for name in [*settings, "tensor_split", "main_gpu", "interrupt_requests"] if name not in known] == []
    # Its Python part has no name for bf16.
    numbers = {f"GGML_TYPE_{name.upper()}": number for name, number in CACHE_TYPES.items() if name != "bf16"}
    assert numbers.items() <= types.items()


def test_servers_run_side_by_side_and_each_route_is_answered_by_its_own(deployed: Deployed) -> None:
    found = verdict(deployed.host)
    assert failures(found) == []
    ids = {check["id"] for check in found["checks"]}
    assert "route/embedder/embedding" in ids
    assert {
        f"route/{name}/{kind}" for name in ("plain", "keyed", "first", "second") for kind in ("chat", "stream")
    } <= ids
    assert ask(deployed.host, "keyed") == SENTENCES["keyed.gguf"]


def test_a_tool_is_called(deployed: Deployed) -> None:
    """What the verification asks for is a call in OpenAI's form: the server reads it out of what the model says."""
    (check,) = [check for check in verdict(deployed.host)["checks"] if check["id"] == "route/caller/tools"]
    assert (check["ok"], check["seen"]) == (True, '"report_weather({"city": "Paris"})"')


def test_openais_client_works_for_every_route_by_what_the_report_says(deployed: Deployed) -> None:
    answered = answers_by_the_report(deployed.host)
    assert set(answered) == {"plain", "keyed", "embedder", "caller", "first", "second"}
    assert len(json.loads(answered["embedder"])["data"][0]["embedding"]) > 1


def test_a_python_server_answers_for_each_of_its_models_in_turn(deployed: Deployed) -> None:
    for _ in range(2):
        assert ask(deployed.host, "first") == "This is the Python llama server"
        assert ask(deployed.host, "second") == SENTENCES["second.gguf"]


@pytest.mark.parametrize(("name", "variable"), [("keyed", "LAB_KEYED_KEY"), ("python", "LAB_PYTHON_KEY")])
def test_a_server_with_a_key_answers_nobody_without_it(deployed: Deployed, name: str, variable: str) -> None:
    path = "/v1/chat/completions"
    assert status_of(deployed.host, PORTS[name], path) == 401
    assert status_of(deployed.host, PORTS[name], path, "sk-wrong") == 401
    assert status_of(deployed.host, PORTS[name], path, KEYS[variable]) == 200


@pytest.mark.parametrize("variable", KEYS)
def test_a_key_shows_nowhere(deployed: Deployed, variable: str) -> None:
    host, key = deployed.host, KEYS[variable]
    assert key not in host.run("journalctl --no-pager -o cat").stdout
    assert key not in host.run("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '", check=False).stdout
    for path in ("/props", "/slots", "/metrics", "/v1/models"):
        command = f"curl -s -H 'Authorization: Bearer {KEYS['LAB_KEYED_KEY']}' http://127.0.0.1:8081{path}"
        assert key not in host.run(command).stdout
    command = f"grep -rlF -- '{key}' /etc/ai-backend/ /opt/ai-backend /var/lib/ai-backend | xargs stat -c '%a %U'"
    assert set(host.run(command).stdout.splitlines()) == {"600 root"}


def test_options_reach_the_running_server(deployed: Deployed) -> None:
    command = "curl -s -H 'Authorization: Bearer {}' http://127.0.0.1:8081/slots".format(KEYS["LAB_KEYED_KEY"])
    slots = json.loads(deployed.host.run(command).stdout)
    assert [slot["n_ctx"] for slot in slots] == [512, 512]
    assert all(slot["speculative"] for slot in slots)
    # Nobody locks memory in a lab host, root neither: its container does not let it. The unit may.
    assert deployed.host.run("systemctl show -P LimitMEMLOCK llama-server@keyed").stdout == "infinity\n"


def test_a_server_that_is_to_see_a_card_does_not_start_without_it(deployed: Deployed) -> None:
    server = "/etc/ai-backend/install/llama-cpp/bin/llama-server"
    done = deployed.host.run(f"{server} --device CUDA0 --version", check=False)
    assert done.returncode == 1
    assert "invalid device: CUDA0" in done.stderr


@pytest.mark.usefixtures("with_a_card")
def test_a_cpu_archive_that_is_declared_for_cuda_is_refused(deployed: Deployed) -> None:
    run = deployed.deploy(carded="release")
    assert run.status == 1
    assert (
        f"llama.cpp from {ARCHIVE}: it is to compute on CUDA, and has only CPU: "
        "take one that is made for CUDA, or fix `backend`"
    ) in run.output
    assert "Traceback" not in run.output
    still_answers(deployed)


@pytest.mark.usefixtures("with_a_card")
def test_a_cuda_build_without_the_toolkit_is_refused(deployed: Deployed) -> None:
    run = deployed.deploy(carded="build")
    assert run.status == 1
    assert "nvcc on PATH or in /usr/local/cuda/bin" in run.output
    assert "or leave `cuda_toolkit` out, and one is installed for it (driver 580 or newer)" in run.output
    assert "Traceback" not in run.output
    still_answers(deployed)


def test_a_model_that_thinks_and_says_nothing_is_told_and_taken_back(deployed: Deployed) -> None:
    run = deployed.deploy(thinker=True)
    assert run.status == 1
    assert "FAIL thinker answers a chat: no words, only thinking" in run.output
    assert SIGNS["thinking"].causes[0].cause in run.output
    still_answers(deployed)


def test_servers_from_a_release_and_a_wheel_and_another_model_restart_nothing_else(deployed: Deployed) -> None:
    lock = str(deployed.pack_wheel())
    before, python_before = main_pids(deployed.host, *NATIVE_UNITS), main_pids(deployed.host, PYTHON_UNIT)
    deployed.deploy(grown=lock).must_pass()
    assert main_pids(deployed.host, *NATIVE_UNITS) == before
    assert main_pids(deployed.host, PYTHON_UNIT) != python_before
    assert ask(deployed.host, "third") == SENTENCES["third.gguf"]
    assert ask(deployed.host, "released") == SENTENCES["third.gguf"]
    assert ask(deployed.host, "wheeled") == "This is the Python llama server"
    (pid,) = main_pids(deployed.host, "llama-server@released.service")
    assert "/release/" in deployed.host.run(f"readlink /proc/{pid}/exe").stdout
    (pid,) = main_pids(deployed.host, "llama-cpp-python@wheeled.service")
    libraries = deployed.host.run(f"grep -o '/opt/.*libllama.so.*' /proc/{pid}/maps | sort -u").stdout.split()
    assert libraries
    assert all("/python-env/" in library for library in libraries)
    assert set(deployed.deploy(grown=lock).must_pass().results().values()) == {"No changes"}
