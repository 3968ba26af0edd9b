"""A loaded model: a llama-server child process."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .errors import ApiError, ClientGone
from .models import Model

_LOAD_TIMEOUT = 300.0
_POLL = 0.05
_GUESS_PER_TOKEN = 2048
"""Bytes: no more than a number to show; see the package's docstring."""

_PORTS = range(8192, 16384)
CRASHED = "an error was encountered while running the model: unexpected EOF"


class Runner:
    """Raises `ApiError` when the child cannot be started or ends before it is ready."""

    def __init__(self, program: Path, model: Model, context: int, parallel: int) -> None:
        if not program.is_file():
            raise ApiError(
                500, f"error starting llama-server: llama-server binary not found (checked: {program}). Run 'cmake"
                " -S llama/server --preset cpu && cmake --build --preset cpu' first "
            )  # fmt: skip
        self.context = context
        self.size = model.file.stat().st_size + context * parallel * _GUESS_PER_TOKEN
        self._port = _free_port()
        self._last_error = ""
        # A text is embedded in one batch, or not at all.
        embedding = ["--embeddings", "--batch-size", str(context), "--ubatch-size", str(context)]
        # A template that is not used may be one that it cannot read.
        rendered = [] if model.chats_natively else ["--no-jinja", "--chat-template", "chatml"]
        command = [
            str(program),
            "--host", "127.0.0.1",
            "--port", str(self._port),
            "--model", str(model.file),
            "--ctx-size", str(context * parallel),
            "--parallel", str(parallel),
            "--no-webui",
            *(embedding if model.gguf.embeds else []),
            *rendered,
        ]  # fmt: skip
        # No death signal: the real server's children outlive a SIGKILL of it too.
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=subprocess.PIPE)
        threading.Thread(target=self._pass_on_log, daemon=True).start()

    def _pass_on_log(self) -> None:
        assert self._child.stderr
        for line in self._child.stderr:
            text = line.decode(errors="replace")
            if text.startswith("error:"):
                self._last_error = text.strip()
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(text)

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def wait_until_ready(self) -> None:
        end = time.monotonic() + _LOAD_TIMEOUT
        while time.monotonic() < end:
            if not self.alive:
                time.sleep(_POLL)  # for the rest of its log
                status = self._child.returncode
                how = f"signal: {signal.strsignal(-status)}" if status < 0 else f"exit status {status}"
                reason = f": {self._last_error}" if self._last_error else ""
                raise ApiError(500, f"llama-server process has terminated: {how.lower()}{reason}")
            with contextlib.suppress(OSError, http.client.HTTPException), self._connected() as connection:
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    return
            time.sleep(_POLL)
        self.kill()
        raise ApiError(500, "timed out waiting for llama-server to start")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()
        self._child.wait()

    def tokens(self, text: str) -> list[int]:
        return list(self._post("/tokenize", {"content": text, "parse_special": True})["tokens"])

    def text(self, tokens: list[int]) -> str:
        return str(self._post("/detokenize", {"tokens": tokens})["content"])

    def embedding(self, text: str) -> tuple[list[float], int]:
        """The vector, and the number of tokens of the text."""
        (found,) = self._post("/embedding", {"content": text})
        vector = found["embedding"]
        counted = self._post("/tokenize", {"content": text, "add_special": True})["tokens"]
        return vector[0] if isinstance(vector[0], list) else vector, len(counted)

    def prompt_of(self, request: dict[str, Any]) -> str:
        """A chat by the chat template of the model's file."""
        return str(self._post("/apply-template", request)["prompt"])

    def complete(self, request: dict[str, Any], gone: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        """The events of a streamed completion. Raises `ApiError` when the child refuses or dies."""
        for event in self._events("/completion", request, gone):
            yield event
            if event.get("stop"):
                return

    def chat(self, request: dict[str, Any], gone: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        """The events of a streamed chat, in OpenAI's shape. Raises like `complete`."""
        for event in self._events("/v1/chat/completions", request, gone):
            yield event
            if any(choice.get("finish_reason") for choice in event.get("choices", [])):
                return

    def _events(self, path: str, request: dict[str, Any], gone: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        """Of a stream that is read until its last one is known."""
        with self._connected() as connection:
            try:
                connection.request("POST", path, json.dumps({**request, "stream": True}))
                response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise ApiError(500, CRASHED) from error
            if response.status != 200:
                raise ApiError(response.status, response.read().decode(errors="replace"))
            while True:
                try:
                    line = response.readline()
                except (OSError, http.client.HTTPException) as error:
                    raise ApiError(500, CRASHED) from error
                if gone():
                    raise ClientGone
                if not line:
                    raise ApiError(500, CRASHED)
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))

    def _post(self, path: str, content: dict[str, Any]) -> Any:
        with self._connected() as connection:
            try:
                connection.request("POST", path, json.dumps(content))
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise ApiError(500, CRASHED) from error
        if response.status != 200:
            raise ApiError(response.status, _message(body))
        return json.loads(body)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_LOAD_TIMEOUT)
        try:
            yield connection
        finally:
            connection.close()


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")


def _free_port() -> int:
    """The real server takes any. Until the child has it, the kernel may give such a one to somebody else: so it is one
    of those that the kernel gives to nobody by itself."""
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ApiError(500, "no port is free")
