"""A request's way as the verifier's command shows it on the host, by what the journal has."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from roles.contract.trace import FRONT_UNIT
from roles.verify.generation import Generation, Provider, Scope, Service
from roles.verify.request_way import way_on_this_host

_UNIT = "llama-server@tiny.service"
_LINE = {"method": "POST", "path": "/v1/chat/completions", "status": 200, "ms": 250, "deployment": "tiny@tiny"}


def generation(folder: Path, scope: Scope = "system") -> Generation:
    server = Service(_UNIT, "127.0.0.1", 8080, "http://127.0.0.1:8080/health", 60, folder / _UNIT)
    provider = Provider("tiny", server, ())
    return Generation(folder, folder, folder, scope, gateway=None, providers=(provider,), routes=())


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that `journalctl` prints when it is asked for an id; beside it, `asked`, with its arguments."""
    file, asked = tmp_path / "journal", tmp_path / "asked"
    program = tmp_path / "bin" / "journalctl"
    program.parent.mkdir()
    file.write_text("")
    program.write_text(f'#!/bin/sh\necho "$*" >> {shlex.quote(str(asked))}\ncat {shlex.quote(str(file))}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return file


def entry(unit: str, message: str, second: int) -> str:
    fields = {"MESSAGE": message, "_SYSTEMD_UNIT": unit, "__REALTIME_TIMESTAMP": str(second * 1_000_000)}
    return f"{json.dumps(fields)}\n"


def test_it_shows_who_answered_and_where_to_look(journal: Path, tmp_path: Path) -> None:
    event = {"event": "fallback", "asked": "big", "tried": "tiny", "answered": True, "why": "Timeout: 4 s"}
    # The newest first, as it is asked for.
    journal.write_text(
        entry(FRONT_UNIT, json.dumps(_LINE), 3) + entry("litellm@a.service", f"\x1b[31m{json.dumps(event)}", 2)
    )
    logged, answered, look = way_on_this_host(generation(tmp_path), "abc")
    # Nothing of it reaches the terminal but as text.
    assert logged == f"1970-01-01T00:00:02.000Z  litellm@a.service: [31m{json.dumps(event)}"
    assert "POST /v1/chat/completions by a client without a name" in answered
    assert "status 200 after 250 ms" in answered
    assert f"journalctl -u {_UNIT} --since" in look
    (first, second) = (journal.parent / "asked").read_text().splitlines()
    assert first.startswith(f"--unit={_UNIT} --output=json --no-pager --quiet --reverse")
    assert second.startswith(f"--unit={FRONT_UNIT} ")


def test_it_says_when_there_is_nothing(journal: Path, tmp_path: Path) -> None:
    (said,) = way_on_this_host(generation(tmp_path), "abc")
    assert said.startswith(f"nothing: its journal has no line of {FRONT_UNIT}")


def test_a_users_journal_is_the_users_own(journal: Path, tmp_path: Path) -> None:
    way_on_this_host(generation(tmp_path, "user"), "abc")
    assert (journal.parent / "asked").read_text().startswith("--user --unit=")
