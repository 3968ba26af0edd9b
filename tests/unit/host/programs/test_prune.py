"""Freeing space on a host."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from roles.contract.requests import Prune
from roles.host.programs import prune
from roles.host.programs.console import HostError


def asked(folder: Path, *command: str) -> Prune:
    return Prune(state=str(folder), folders=(), commands=(command,))


def test_a_server_is_asked_to_free_what_it_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "program"
    program.write_text("print('1 MB freed')")
    prune.main(asked(tmp_path, sys.executable, str(program)))
    assert "1 MB freed" in capsys.readouterr().out


def test_a_host_that_an_earlier_version_deployed_must_be_deployed_first(tmp_path: Path) -> None:
    program = tmp_path / "program"
    with pytest.raises(HostError, match=f"{program} is not there yet: run deploys"):
        prune.main(asked(tmp_path, sys.executable, str(program)))
