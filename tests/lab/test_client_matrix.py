"""Every client program of `docs/clients.md` with every server: what it can do, and what a person is told if it cannot.

`test_providers.py` runs some of them in each run of the tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.endpoint import Endpoint
from tests.clients.programs import PROGRAMS, rounds, run
from tests.lab.client_programs import ENGINES, EXCEPTIONS, SAY, TOLD, deploy_for_programs, surprises
from tests.lab.conftest import NewHost
from tests.labhost import Lab

pytestmark = pytest.mark.soak_only


@pytest.fixture(scope="module")
def endpoint(new_module_host: NewHost) -> Endpoint:
    return deploy_for_programs(new_module_host("clients", prepared=True))


@pytest.mark.parametrize("library", EXCEPTIONS)
def test_a_library_does_all_that_the_server_can(lab: Lab, endpoint: Endpoint, library: str, tmp_path: Path) -> None:
    for number, model in enumerate((*ENGINES, "tiny-tools")):
        found = rounds(lab.folders, library, endpoint, model, tmp_path / str(number))
        assert surprises(library, model, found) == "", model


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_works_as_documented(lab: Lab, endpoint: Endpoint, program: str, tmp_path: Path) -> None:
    said = run(lab.folders, program, endpoint, "tiny-agents", tmp_path / "home")
    assert said.status == 0, said.output
    assert SAY["tiny-agents"] in said.output


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_gets_an_answer_or_a_reason(
    lab: Lab, endpoint: Endpoint, program: str, model: str, tmp_path: Path
) -> None:
    said = run(lab.folders, program, endpoint, model, tmp_path / "home", timeout=60)
    told = TOLD.get(program, {}).get(model)
    assert (told or SAY[model]) in " ".join(said.output.split())
    if not told:
        assert said.status == 0, said.output


def test_claude_code_needs_no_model_where_its_own_is_an_alias(lab: Lab, endpoint: Endpoint, tmp_path: Path) -> None:
    said = run(lab.folders, "claude-code", endpoint, "claude-opus-4-8", tmp_path / "home")
    assert SAY["tiny-agents"] in said.output
