"""A lab host with the stack of `routes_stack.py`."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import Run, deploy, inventory_file
from tests.lab.inventory import LLAMA_CPP
from tests.lab.llama_cpp import llama_cpp_bin
from tests.lab.llama_cpp_stack import ARCHIVE
from tests.lab.routes_stack import COOLDOWN, PASSWORD, PASSWORD_VARIABLE, SENTENCES
from tests.lab.traffic import Answer, send
from tests.labhost import Lab, LabHost
from tests.labhost.faulty_mirror import FaultyMirror
from tests.labhost.models import write_tiny_gguf, write_tiny_reranker

FRESH: dict[str, Any] = {"cache": {"no-cache": True}}


class Deployed:
    """A host with the stack."""

    def __init__(self, host: LabHost, mirror: FaultyMirror, folder: Path) -> None:
        self.host = host
        self._mirror = mirror
        self._folder = folder

    @property
    def mirror_url(self) -> str:
        """Where hosts find the models, and one more that the stack does not have: `stranger.gguf`."""
        return self._mirror.url

    def deploy(self, file: str = "full.py", data: Mapping[str, str] | None = None, **gateway: Any) -> Run:
        """`deploys/<file>` with the stack, and what `--data` is to set."""
        served = {
            file.name: (f"{self._mirror.url}/{file.name}", hashlib.sha256(file.read_bytes()).hexdigest())
            for file in self._mirror.folder.iterdir()
        }
        text = (
            "from tests.lab.routes_stack import routes_stack\n"
            f"hosts = [lab_host(routes_stack({served!r}, **{gateway!r}))]\n"
        )
        return deploy(self.host, file, data=data, inventory=inventory_file(self._folder, text))

    def ask(self, model: str, count: int = 1, concurrency: int = 1, **body: Any) -> list[Answer]:
        """Good answers all, none of them out of the cache."""
        answers = send(self.host, model, count, concurrency, **{**FRESH, **body})
        assert [answer.problem for answer in answers if answer.problem] == []
        return answers

    def rested(self) -> None:
        """Wait until nobody rests any more."""
        time.sleep(COOLDOWN + 0.5)


@contextmanager
def routes_host(lab: Lab, new_host: NewHost, folder: Path, name: str, **gateway: Any) -> Iterator[Deployed]:
    """Boot a host and deploy the stack to it, with those options of the gateway.

    Args:
        folder: an empty one, for what it is deployed from.
    """
    served, inventory = folder / "served", folder / "inventory"
    served.mkdir()
    inventory.mkdir()
    for model, says in SENTENCES.items():
        write_tiny_gguf(served / f"{model}.gguf", says=says, name=model)
    write_tiny_gguf(served / "stranger.gguf", says="Nobody knows me here", name="stranger")
    write_tiny_reranker(served / "ranker.gguf", favours="!", name="ranker")
    programs = llama_cpp_bin(lab, LLAMA_CPP)
    pack = ["tar", "--create", "--gzip", "--transform", r"s,^\.,llama-b1,", "--file", str(served / ARCHIVE)]
    subprocess.run([*pack, "--directory", str(programs), "."], check=True, timeout=120)
    # Nested: it may change its own firewall. The mirror's address is there while a host is.
    host = new_host(name, nested=True, prepared=True)
    address = lab.mirror_url.removeprefix("http://").partition(":")[0]
    with FaultyMirror(served, address) as mirror, pytest.MonkeyPatch.context() as patch:
        patch.setenv(PASSWORD_VARIABLE, PASSWORD)
        deployed = Deployed(host, mirror, inventory)
        deployed.deploy(**gateway).must_pass()
        yield deployed
