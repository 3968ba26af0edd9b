"""A server run as its unit says, but by hand: the machine needs no systemd."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from roles.contract.environment_file import parse_environment
from tests.gpu.steps import StepError

_LONGEST_START = 90.0
_LONGEST_STOP = 30.0
_LONGEST_ANSWER = 60.0
_POLL = 0.1


@dataclass(frozen=True)
class UnitText:
    """What a unit's file says of its process."""

    before: tuple[tuple[str, ...], ...]
    command: tuple[str, ...]
    environment: dict[str, str]


def read_unit(text: str) -> UnitText:
    """From the text of a unit of ours: commands over several lines, in double quotes where needed."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    environment: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition("=")
        if key == "Environment":
            name, _, assigned = shlex.split(value)[0].replace("%%", "%").partition("=")
            environment[name] = assigned
        elif key == "EnvironmentFile":
            environment |= parse_environment(Path(value).read_text())
    (command,) = _commands(lines, "ExecStart")
    return UnitText(tuple(_commands(lines, "ExecStartPre")), command, environment)


def _commands(lines: Sequence[str], directive: str) -> list[tuple[str, ...]]:
    values = (line.partition("=")[2] for line in lines if line.startswith(f"{directive}="))
    return [tuple(part.replace("%%", "%").replace("$$", "$") for part in shlex.split(value)) for value in values]


@dataclass(frozen=True)
class Answer:
    """What a chat gave, and how fast; tokens a second as the server measured them, or as the clock here did."""

    text: str
    seconds: float
    prompt_speed: float | None
    speed: float


class Server:
    """A running server; `log` holds what it said."""

    def __init__(self, unit: UnitText, log: Path, more: Sequence[str] = (), checked: bool = True) -> None:
        """Run what the unit runs before it, then start it.

        Args:
            more: further arguments.
            checked: run what the unit runs before it, by which a server without its cards does not come up.
        """
        self.log = log
        self._environment = {**os.environ, **unit.environment}
        self._key = next(value for name, value in unit.environment.items() if name.endswith("API_KEY"))
        command = [*unit.command, *more]
        port = int(command[command.index("--port") + 1])
        self._url = f"http://127.0.0.1:{port}"
        for before in unit.before if checked else ():
            self._run(before)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def _run(self, command: Sequence[str]) -> None:
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False, timeout=_LONGEST_START
        )
        if done.returncode != 0:
            raise StepError(
                f"what the unit runs first ended with status {done.returncode}: {shlex.join(command[-4:])}",
                done.stdout + done.stderr,
            )

    def wait(self, path: str) -> float:
        """Until it answers there; the seconds that it took."""
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < _LONGEST_START:
            if self._process.poll() is not None:
                raise StepError(f"it ended with status {self._process.returncode}", self.said())
            try:
                if httpx.get(self._url + path, timeout=5, trust_env=False).status_code == 200:
                    return elapsed
            except httpx.HTTPError:
                pass
            time.sleep(_POLL)
        raise StepError(f"it gave no answer within {_LONGEST_START:.0f} s", self.said())

    def chat(self, prompt: str, most_tokens: int) -> Answer:
        """One chat completion."""
        body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": most_tokens, "temperature": 0}
        started = time.monotonic()
        try:
            reply = httpx.post(
                f"{self._url}/v1/chat/completions",
                json=body,
                headers={"Authorization": f"Bearer {self._key}"},
                timeout=_LONGEST_ANSWER,
                trust_env=False,
            )
            reply.raise_for_status()
        except httpx.HTTPError as error:
            raise StepError(f"the chat failed: {error!r}", self.said()) from None
        return answer_of(reply.json(), time.monotonic() - started)

    def stop(self) -> float:
        """End it as systemd does; the seconds that it took."""
        started = time.monotonic()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_LONGEST_STOP)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        return time.monotonic() - started


def answer_of(reply: dict[str, Any], seconds: float) -> Answer:
    """llama-server tells its own times; the Python server does not."""
    text = reply["choices"][0]["message"]["content"] or ""
    times = reply.get("timings") or {}
    speed = times.get("predicted_per_second") or reply["usage"]["completion_tokens"] / seconds
    return Answer(text.strip(), seconds, times.get("prompt_per_second"), speed)


def layers_on_cards(log: str) -> tuple[int, int] | None:
    """How many layers llama.cpp says it has put on cards, and of how many; none = it says nothing of it."""
    match = re.search(r"offloaded (\d+)/(\d+) layers to GPU", log)
    return (int(match[1]), int(match[2])) if match else None
