"""The verdict: what it says as data, as a table, as an exit status."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from roles.contract.verdict import SCHEMA
from roles.verify import Check, Verdict, print_report, read_verdict
from roles.verify import __main__ as command
from roles.verify.generation import Generation, Scope
from roles.verify.verdict.quoting import quoted
from tests.labhost.paths import REPOSITORY
from tests.verdicts import DEPLOYED, EVENTS, as_schema_2, without_codes

GOOD = Check("unit/litellm.service/port", "litellm.service", "owns its port", "127.0.0.1:4000", "it does", True, 0)
BAD = Check("route/gpt-4o/chat", "gpt-4o", "answers a chat", "words from a@b", '500 "[red]refused"', False, 1.25)
FINE = Check("route/llama/chat", "llama", "answers a chat", "words from c@d", '"Grüße, 你好"', True, 0.5)
DARK = Check("gateway/models", "gateway", "offers the declared models", "exactly", "key.env: denied", None, 0)
VERDICT = Verdict("gpu-box", "2026-11-24T06:00:00+00:00", "6e1b", "1f0c", 2.5, (GOOD, FINE))


@pytest.mark.parametrize(
    ("checks", "status", "exit_status", "outcome"),
    [
        pytest.param((GOOD, FINE), "pass", 0, "2 of 2 checks pass", id="pass"),
        pytest.param((GOOD, BAD), "fail", 1, "1 of 2 checks fail", id="fail"),
        pytest.param((GOOD, DARK), "unknown", 2, "1 of 2 checks could not be made", id="unknown"),
        pytest.param(
            (GOOD, BAD, DARK), "fail", 1, "1 of 3 checks fail, 1 of 3 checks could not be made", id="fail and unknown"
        ),
        pytest.param((), "unknown", 2, "0 of 0 checks pass", id="no check"),
    ],
)
def test_fail_beats_unknown_beats_pass(checks: tuple[Check, ...], status: str, exit_status: int, outcome: str) -> None:
    verdict = replace(VERDICT, checks=checks)
    assert (verdict.status, verdict.exit_status) == (status, exit_status)
    assert verdict.summary == f"{outcome}. host gpu-box, generation 1f0c, boot 6e1b"


def test_json_gives_the_same_verdict_back() -> None:
    verdict = replace(VERDICT, checks=(GOOD, BAD, DARK, FINE))
    text = verdict.to_json()
    assert "\n" not in text
    assert read_verdict(text) == verdict
    document = json.loads(text)
    assert (document["schema"], document["status"]) == (3, "fail")


def test_a_verdict_of_the_version_before_is_read_without_codes() -> None:
    coded = replace(VERDICT, checks=(GOOD, replace(BAD, code="unit-failed")))
    assert read_verdict(as_schema_2(coded)) == without_codes(coded)


@pytest.mark.parametrize("code", [pytest.param(3, id="a number"), pytest.param(["port-silent"], id="a list")])
def test_a_code_is_a_text(code: object) -> None:
    text = replace(VERDICT, checks=(replace(BAD, code="CODE"),)).to_json().replace('"CODE"', json.dumps(code))
    with pytest.raises(ValueError, match="code"):
        read_verdict(text)


_TEXT = replace(VERDICT, deployment=DEPLOYED, events=EVENTS).to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "not a verdict (Invalid JSON: EOF while parsing a value at line 1 column 0)", id="empty"),
        pytest.param("[" * 100_000, "recursion limit exceeded", id="deep"),
        pytest.param(_TEXT[:400], "Invalid JSON: EOF", id="torn"),
        pytest.param("[]", "not a verdict (", id="list"),
        pytest.param("{}", "not a verdict (schema: ", id="no schema"),
        pytest.param('{"schema": "2"}', "not a verdict (schema: ", id="a schema in words"),
        pytest.param('{"schema": 99}', f"a verdict of schema 99; this program reads 2 to {SCHEMA}", id="newer"),
        pytest.param('{"schema": 1}', f"a verdict of schema 1; this program reads 2 to {SCHEMA}", id="too old"),
        pytest.param('{"schema": 2}', "not a verdict (host: ", id="nothing else"),
        pytest.param(_TEXT.replace('"seen"', '"saw"', 1), "(checks.0.seen: ", id="a field less"),
        pytest.param(_TEXT.replace('"ok": true', '"ok": 1', 1), "(checks.0.ok: ", id="a number for a truth"),
        pytest.param(_TEXT.replace('"seconds": 0', '"seconds": "0"', 1), "(checks.0.seconds: ", id="words for seconds"),
        pytest.param(_TEXT.replace('"urls": [', '"urls": [7, '), "(deployment.endpoint.urls.0: ", id="deep inside"),
        pytest.param(_TEXT.replace('"who": "ada@desk"', '"who": null', 1), "(events.0.who: ", id="an event"),
        pytest.param(_TEXT.replace(VERDICT.time, "yesterday"), "isoformat", id="no time"),
    ],
)
def test_what_is_no_verdict_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        read_verdict(text)
    assert "\n" not in str(refusal.value)


def test_a_verdict_of_an_earlier_version_is_read_as_one_of_this() -> None:
    """As hosts keep them: `verdict-2.json` was written by the version that had schema 2 first."""
    verdict = read_verdict((Path(__file__).parent / "verdict-2.json").read_text())
    assert (verdict.schema, verdict.status, verdict.host) == (SCHEMA, "pass", "gpu-box")
    assert (len(verdict.checks), len(verdict.events)) == (49, 4)
    assert verdict.deployment is not None
    assert verdict.deployment.routes[2].aliases == ("gpt-4o",)


def test_what_a_later_version_adds_is_passed_over() -> None:
    assert read_verdict(_TEXT.replace('"id":', '"more": {"a": 1}, "id":')) == read_verdict(_TEXT)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_shows_everything_the_failed_route_first(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    print_report(replace(VERDICT, checks=(GOOD, FINE, BAD, DARK)), console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    lines = [line.rstrip() for line in text.splitlines()]
    assert "\x1b" not in text
    assert all(len(line) <= width for line in lines[:-1])
    assert lines[-1] == "1 of 4 checks fail, 1 of 4 checks could not be made. host gpu-box, generation 1f0c, boot 6e1b"
    # Once more at the end, where no table has to be searched for it.
    last = " ".join(" ".join(lines[-6:-1]).split())
    assert all(
        f"{mark} {check.subject} {check.claim}: {check.seen}" in last for mark, check in (("FAIL", BAD), ("?", DARK))
    )
    assert GOOD.claim not in last
    # In brackets, and not taken for a colour.
    assert '500 "[red]refused"' in text
    order = [line.strip() for line in lines if line.strip() in ("Units", "Gateway", "Routes", "gpt-4o", "llama")]
    assert order == ["Units", "Gateway", "Routes", "gpt-4o", "llama"]
    (failed,) = [line for line in lines if line.endswith("FAIL")]
    assert "answers a chat" in failed
    assert "1.2" in failed


def test_foreign_text_can_not_drive_the_terminal() -> None:
    assert quoted("a\x1b[31m\tb\n\n c") == '"a[31m b c"'
    assert quoted("x" * 300) == f'"{"x" * 200}…"'


@pytest.mark.parametrize(
    ("scope", "user", "waits"),
    [
        pytest.param("system", 0, True, id="root"),
        pytest.param("system", 1000, False, id="another user"),
        pytest.param("user", 1000, True, id="the stack's own user"),
    ],
)
def test_only_who_may_reach_the_services_waits_for_them(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    scope: Scope,
    user: int,
    waits: bool,
) -> None:
    given: dict[str, object] = {}

    async def verify(generation: object, **options: object) -> Verdict:
        given.update(options)
        return replace(VERDICT, checks=(GOOD,))

    generation = Generation(tmp_path, tmp_path, tmp_path, scope, None, (), ())
    monkeypatch.setattr(command, "load_generation", lambda config: generation)
    monkeypatch.setattr(command, "verify", verify)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert command.main(["--config", str(tmp_path)]) == 0
    assert given["wait"] is waits
    assert ("not run as root" in capsys.readouterr().err) is not waits


@pytest.mark.parametrize(
    ("checks", "status"),
    [pytest.param((GOOD,), 0, id="pass"), pytest.param((BAD,), 1, id="fail"), pytest.param((DARK,), 2, id="unknown")],
)
@pytest.mark.parametrize("options", [pytest.param([], id="as text"), pytest.param(["--json"], id="as JSON")])
def test_the_exit_status_is_that_of_the_verdict(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    checks: tuple[Check, ...],
    status: int,
    options: list[str],
    tmp_path: Path,
) -> None:
    verdict = replace(VERDICT, checks=checks)

    async def verify(generation: object, **options: object) -> Verdict:
        return verdict

    generation = Generation(tmp_path, tmp_path, tmp_path, "system", None, (), ())
    monkeypatch.setattr(command, "load_generation", lambda config: generation)
    monkeypatch.setattr(command, "verify", verify)
    assert command.main(["--config", "/etc/ai-backend", *options]) == status
    output = capsys.readouterr()
    assert output.err == ""
    if options:
        assert read_verdict(output.out) == verdict
    else:
        assert output.out.rstrip().endswith("generation 1f0c, boot 6e1b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["--config", "/nowhere/ai-backend"],
            "verify: /nowhere/ai-backend: No such file or directory\n",
            id="no such file",
        ),
        pytest.param([], "the following arguments are required: --config\n", id="no option"),
        pytest.param(["--config", "/etc", "--colour"], "unrecognized arguments: --colour\n", id="no such option"),
    ],
)
def test_a_bad_call_gives_one_message_and_status_2(arguments: list[str], message: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "roles.verify", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.endswith(message)
    assert "Traceback" not in finished.stderr


def test_the_verifier_runs_with_nothing_of_ours_but_the_contract(tmp_path: Path) -> None:
    """As on the host: `roles/contract/` and `roles/verify/`, and the packages of its own environment."""
    source = REPOSITORY / "roles"
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles/__init__.py").write_text("")
    for package in ("contract", "verify"):
        (tmp_path / "roles" / package).symlink_to(source / package)
    program = (
        "import sys, roles.verify.__main__ as main; assert main.__file__.startswith(sys.argv[1]), main.__file__; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    finished = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    loaded = finished.stdout.split()
    assert {"httpx", "jinja2", "pydantic", "yaml", "rich"} <= set(loaded)
    # Of the Redis client only where there is a Redis: it takes 0.1 s of a processor.
    assert not {"pyinfra", "redis"} & set(loaded)
