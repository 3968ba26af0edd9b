"""`python deploys/fit.py INVENTORY`: the memory plan without a host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hollow_models import Hollow, write_hollow
from tests.inventories import INVENTORY

DEPLOYS = INVENTORY.parent / "deploys"
TEXT = """
from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppBuild, LlamaServer
from roles.options import *

build = LlamaCppBuild(
    source=PythonSdist(package="llama-cpp-python", version="0.3.36", sha256="a" * 64), backend="{backend}"
)
model = {model}
server = LlamaServer(
    name="s", port=8080, build=build, model=model, served_name="m", context_size=131072, gpus={gpus}
)
stack = Stack(
    memory={memory},
    providers=[server],
    routes=[Route(name="m", deployments=[Deployment(provider="s")])],
    gateway=LiteLLM(master_key=EnvSecret("NOT_SET_ANYWHERE")),
)
hosts = [("box", {{"stack": stack}})]
"""
DEFAULTS = {"backend": "cuda", "gpus": 'Gpus(memory="24G")', "memory": "None"}


def fit(folder: Path, **values: str) -> tuple[int, str]:
    """Its exit status, and what it prints."""
    local = f'LocalFile(path="{write_hollow(folder / "m.gguf", Hollow(layers=8))}", sha256="{"0" * 64}")'
    inventory = folder / "box.py"
    inventory.write_text(TEXT.format(**{**DEFAULTS, "model": local, **values}))
    return command(inventory)


def command(inventory: Path) -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, DEPLOYS / "fit.py", inventory],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(DEPLOYS.parent)},
    )  # fmt: skip
    assert "Traceback" not in ran.stderr
    return ran.returncode, ran.stdout + ran.stderr


def test_a_plan_that_fits_says_what_is_left(tmp_path: Path) -> None:
    status, text = fit(tmp_path)
    assert (status, text.splitlines()[0]) == (0, "box:")
    assert "It fits: " in text
    assert "MiB of main memory" in text
    assert "preflight compares with the real one" in text


def test_a_plan_that_does_not_fit_fails_with_what_would(tmp_path: Path) -> None:
    status, text = fit(tmp_path, gpus='Gpus(memory="1G")')
    assert status == 1
    assert 'give LlamaServer "s" a context of at most ' in text


def test_main_memory_that_is_too_small_fails_with_what_would(tmp_path: Path) -> None:
    cpu = {"backend": "cpu", "gpus": "None"}
    assert fit(tmp_path, **cpu, memory='"16G"')[0] == 0
    status, text = fit(tmp_path, **cpu, memory='"2G"')
    assert status == 1
    assert 'MiB of main memory are planned, and the host has 2048: give LlamaServer "s" a context of at most ' in text


def test_a_card_that_nobody_declared_is_planned_without_a_verdict(tmp_path: Path) -> None:
    status, text = fit(tmp_path, gpus="Gpus()")
    assert status == 0
    assert "preflight compares with the real one" in text


def test_a_model_of_elsewhere_is_said_to_be_unknown(tmp_path: Path) -> None:
    model = 'HubFile(repository="a/b", revision="0123456789" * 4, file="m.gguf")'
    status, text = fit(tmp_path, model=model, gpus="None", backend="cpu")
    assert status == 0
    assert 'not known: LlamaServer "s" m: its size is in no lock\n' in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("1 / 0", "division by zero", id="an error in it"),
        pytest.param("hosts = [('box', {})]", "has no `stack`", id="no stack"),
        pytest.param("hosts = [('box', {'stack': 1})]", "has a `stack` that is", id="another stack"),
        pytest.param("hosts = [('box', {'stack': dict})]", "has dict without its parentheses as", id="a class"),
        pytest.param("host = [('box', 'stack')]", "names no host; write hosts = [", id="no host"),
        pytest.param("from roles.options import *\nGpus(memory='24GB')", 'did you mean "24G"', id="a wrong option"),
    ],
)
def test_an_inventory_that_cannot_be_read_is_one_message(tmp_path: Path, text: str, words: str) -> None:
    inventory = tmp_path / "box.py"
    inventory.write_text(text)
    status, said = command(inventory)
    assert status == 2
    assert words in said
    assert command(tmp_path / "gone.py")[0] == 2
