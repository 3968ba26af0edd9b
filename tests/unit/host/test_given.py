"""What the command line gives counts as it is written, whatever pyinfra makes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

AWKWARD = ["970236", "000123", "12e456", "1e5", "0x12", "true", "False", "null", "NaN", "[1]", '"a"', "1_000", "a=b"]
PROGRAM = """
import json, sys
import pyinfra_cli.cli, pyinfra  # first: it patches the standard library, for which reason it has a process of its own
from pyinfra.api import Config, Inventory, State
from pyinfra.api.exceptions import DeployError
from roles.data import VALUES
from roles.host.given import check_names, given

def result(case):
    pyinfra.is_cli, sys.argv = case["cli"], ["pyinfra", *case["argv"]]
    data = pyinfra_cli.cli.cli.make_context("pyinfra", case["argv"], resilient_parsing=True).params["data"]
    parsed = pyinfra_cli.cli._set_override_data(data, None, None, None, None, None)
    state = State(Inventory(([("box", case["host_data"])], {}), override_data=parsed), Config())
    try:
        if case["value"] is None:
            return check_names(state)
        return given(state.inventory.get_host("box"), VALUES[case["value"]])
    except DeployError as error:
        return f"refused: {error}"

for line in sys.stdin:
    print(json.dumps(result(json.loads(line))), flush=True)
"""


@dataclass(frozen=True)
class Case:
    """A command line, an inventory's data of the host, and the value to read; none = the names are checked."""

    argv: Sequence[str]
    value: str | None = None
    host_data: dict[str, object] = field(default_factory=dict)
    cli: bool = True


Ask = Callable[[Case], Any]


@pytest.fixture(scope="module")
def ask() -> Any:
    """What becomes of a case."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout

        def asked(case: Case) -> Any:
            print(json.dumps(asdict(case)), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())  # type: ignore[union-attr]

        yield asked
        process.stdin.close()


def line(*data: str, deploys: Sequence[str] = ("own/mine.py",)) -> list[str]:
    return ["box,", *deploys, *(part for each in data for part in ("--data", each)), "-y", "--limit", "box"]


@pytest.mark.parametrize("text", AWKWARD)
@pytest.mark.parametrize("name", ["generation", "rotate", "report"])
def test_a_name_comes_as_it_was_written(ask: Ask, name: str, text: str) -> None:
    assert ask(Case(line(f"{name}={text}"), name)) == text


def test_pyinfra_has_other_ways_to_write_an_option_and_the_last_one_counts(ask: Ask) -> None:
    argv = ["--data=generation=1", "-y", "box,", "a.py", "--data=generation=0001", "--data", "rotate=x"]
    assert ask(Case(argv, "generation")) == "0001"
    assert ask(Case([*argv, "--data=generation=1e5"], "generation")) == "1e5"


@pytest.mark.parametrize(
    ("text", "meant"), [("no", False), ("false", False), ("0", False), ("yes", True), ("true", True), ("1", True)]
)
def test_no_is_no(ask: Ask, text: str, meant: bool) -> None:
    assert ask(Case(line(f"at_once={text}"), "at_once")) is meant


def test_what_is_not_given_is_none(ask: Ask) -> None:
    assert ask(Case(line(), "at_once")) is None


@pytest.mark.parametrize(
    "data", ["generation=", "at_once=", "at_once=perhaps", "ssh_silence=12e456", "ssh_silence=null"]
)
def test_a_wrong_value_is_refused_by_its_name(ask: Ask, data: str) -> None:
    name = data.partition("=")[0]
    said = ask(Case(line(data), name))
    assert said.startswith(f"refused: box: `{name}` is to be ")
    assert f"; for example --data {name}=" in said


def test_an_inventory_may_give_it_and_the_command_line_overrules_it(ask: Ask) -> None:
    in_data: dict[str, object] = {"ssh_silence": 5, "at_once": True}
    assert ask(Case(line(), "ssh_silence", in_data)) == 5
    assert ask(Case(line("ssh_silence=0007"), "ssh_silence", in_data)) == 7
    assert ask(Case(line("at_once=no"), "at_once", in_data)) is False
    assert "not '5 s'" in ask(Case(line(), "ssh_silence", {"ssh_silence": "5 s"}))


def test_without_pyinfras_command_the_parsed_value_counts(ask: Ask) -> None:
    assert ask(Case(line("generation=970236"), "generation", cli=False)) == "970236"
    assert "is to be the name of a generation" in ask(Case(line("generation=12e456"), "generation", cli=False))


@pytest.mark.parametrize(
    ("data", "deploy", "words"),
    [
        ("generatoin=1", "deploys/rollback.py", 'nothing reads "generatoin"; did you mean "generation"?'),
        ("at-once=no", "reboot.py", 'nothing reads "at-once"; did you mean "at_once"?'),
        ("colour=red", "mine.py", 'nothing reads "colour" (`python -m roles.data` lists all: at_once, generation, '),
        ("generation=1", "deploys/full.py", "`--data generation=…` is for deploys/rollback.py: this deploy does not"),
        ("report=x", "/a/deploys/history.py", "is for deploys/verify.py"),
        ("stack=x", "mine.py", "`stack` is what the inventory declares"),
        ("token=sk-0123456789", "mine.py", "`--data token=…`: nothing reads"),
    ],
    ids=lambda part: part.partition("=")[0][:20],
)
def test_a_name_that_nothing_reads_is_refused(ask: Ask, data: str, deploy: str, words: str) -> None:
    said = ask(Case(line(data, deploys=[deploy])))
    assert said.startswith("refused: ")
    assert words in said
    assert "0123456789" not in said


@pytest.mark.parametrize(
    ("data", "deploys"),
    [
        ("ssh_user=root", ["deploys/full.py"]),
        ("_sudo=true", ["deploys/full.py"]),
        ("docker_identifier=x", ["deploys/full.py"]),
        ("generation=1", ["deploys/history.py", "deploys/rollback.py"]),
        ("generation=1", ["own/mine.py"]),
        ("of_the_inventory=1", ["deploys/full.py"]),
    ],
    ids=lambda part: part.partition("=")[0] if isinstance(part, str) else "+".join(part),
)
def test_a_name_that_something_reads_is_let_through(ask: Ask, data: str, deploys: Sequence[str]) -> None:
    assert ask(Case(line(data, deploys=deploys), host_data={"of_the_inventory": 2})) is None
