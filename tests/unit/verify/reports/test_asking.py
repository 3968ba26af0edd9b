"""The lines of a status page work when they are pasted: a shell, curl and Python do what is written there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roles.contract.deployed import DeployedRoute, Endpoint
from roles.contract.environment_file import environment_text
from roles.verify.reports.asking import clients_curl, clients_openai_client, curl, key_export, openai_client
from tests.labhost.http_server import QuietHandler, ThreadedServer
from tests.verdicts import DEPLOYED

KEY = 'sk-$HOME`id`"quoted"\\back\'tick'
"""One that each kind of quoting would spoil, if it were wrong."""

PROMPT = 'Don\'t say "$HOME" or `id`; 你好 \\n %s\x7f\x1b'


class _Server(ThreadedServer):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", _Handler)
        self.asked: list[tuple[str, str, Any]] = []


class _Handler(QuietHandler):
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, self.headers["authorization"], body))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as server:
        yield server


def _endpoint(folder: Path, port: int) -> Endpoint:
    assert DEPLOYED.endpoint is not None
    file = folder / "it's the key@a.env"
    file.write_text("# Written by AI Unified Backend\n" + environment_text({"OTHER": "x", "LITELLM_MASTER_KEY": KEY}))
    return replace(DEPLOYED.endpoint, url=f"http://127.0.0.1:{port}/v1", key_file=str(file))


def _route(path: str, **body: object) -> DeployedRoute:
    return replace(DEPLOYED.routes[0], path=path, body={"model": "llama3.1:latest", **body})


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_clients_curl_line_takes_the_key_from_its_environment(server: _Server, tmp_path: Path, shell: str) -> None:
    body = {"messages": [{"role": "user", "content": PROMPT}]}
    line = clients_curl(_endpoint(tmp_path, server.server_port).url, _route("/chat/completions", **body))
    environment = {**os.environ, "API_KEY": KEY}
    done = subprocess.run([shell, "-c", line], capture_output=True, text=True, check=True, env=environment)
    assert (done.stdout, done.stderr) == ("{}", "")
    assert server.asked == [("/v1/chat/completions", f"Bearer {KEY}", {"model": "llama3.1:latest", **body})]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_curl_line_asks_its_route_with_the_key_from_its_file(server: _Server, tmp_path: Path, shell: str) -> None:
    body = {"messages": [{"role": "user", "content": PROMPT}]}
    line = curl(_endpoint(tmp_path, server.server_port), _route("/chat/completions", **body))
    assert line.isascii() or line.replace("\n", "").isprintable()
    assert KEY not in line
    done = subprocess.run([shell, "-c", line], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("{}", "")
    assert server.asked == [("/v1/chat/completions", f"Bearer {KEY}", {"model": "llama3.1:latest", **body})]


def test_the_key_is_no_argument_of_a_process(tmp_path: Path) -> None:
    """Anybody may read those in the list of processes."""
    (tmp_path / "curl").write_text('#!/bin/sh\nprintf "%s\\n" "$@" >> "$0.arguments"\ncat > /dev/null\n')
    (tmp_path / "curl").chmod(0o755)
    line = curl(_endpoint(tmp_path, 1), _route("/chat/completions"))
    trace = subprocess.run(
        ["sh", "-c", line],
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert trace.stdout == b""
    assert KEY not in (tmp_path / "curl.arguments").read_text()
    assert "/chat/completions" in (tmp_path / "curl.arguments").read_text()


def test_the_python_snippet_calls_the_client_with_the_key_and_the_endpoint(tmp_path: Path) -> None:
    """Against a stand-in for the client, which is no dependency of this project; the lab asks with the real one."""
    (tmp_path / "openai.py").write_text(
        "import sys\n"
        "class Any:\n"
        "    def __init__(self, path, **options): self.path = path; self.options = options\n"
        "    def __getattr__(self, name): return Any(f'{self.path}.{name}')\n"
        "    def __getitem__(self, number): return Any(f'{self.path}[{number}]')\n"
        "    def __call__(self, **options): print(self.path, options); return Any('answer')\n"
        "    def __str__(self): return self.path\n"
        "def OpenAI(**options): print(options); return Any('client')\n"
    )
    endpoint = _endpoint(tmp_path, 4000)
    messages = [{"role": "user", "content": PROMPT}]
    program = openai_client(endpoint, [_route("/chat/completions", messages=messages)])
    shell = f'{key_export(endpoint)}\nexec "$0" -c "$1"'
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable, program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    said = [
        str({"base_url": "http://127.0.0.1:4000/v1", "api_key": KEY}),
        f"client.chat.completions.create { ({'model': 'llama3.1:latest', 'messages': messages}) }",
        "answer.choices[0].message.content",
    ]
    assert done.stdout.splitlines() == said
    program = clients_openai_client(endpoint.url, [_route("/chat/completions", messages=messages)])
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "API_KEY": KEY}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == said


@pytest.mark.parametrize(
    ("mode", "method"),
    [("chat", "chat.completions"), ("completion", "completions"), ("embedding", "embeddings"), ("rerank", None)],
)
def test_each_mode_that_the_client_knows_is_asked_by_its_method(mode: str, method: str | None) -> None:
    assert DEPLOYED.endpoint is not None
    program = openai_client(DEPLOYED.endpoint, [replace(DEPLOYED.routes[0], mode=mode)])
    assert (f"client.{method}.create(" in program) if method else program == ""
