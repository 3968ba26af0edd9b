"""The likely causes of what does not pass, by its code, what it is about, and what else does not pass."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import httpx
import pytest

from roles.contract.verdict import Check
from roles.verify.doctor import SIGNS, explained
from roles.verify.generation import Deployment, Generation, Probe, Provider, Service
from roles.verify.probe.api import Reply
from roles.verify.verdict.claim import CheckFailed
from roles.verify.verdict.codes import MEANINGS, Code
from tests.deployed import route
from tests.gpu_program import write_gpu_program
from tests.labhost.paths import REPOSITORY

UNIT = "llama-server@n.service"
SERVICE = Service(UNIT, "127.0.0.1", 8080, "http://127.0.0.1:8080/health", 30, Path("/nowhere"))
GENERATION = Generation(
    folder=Path("/etc/ai-backend-generations/1f0c"),
    config=Path("/etc/ai-backend"),
    state=Path("/var/lib/ai-backend"),
    scope="system",
    gateway=None,
    providers=(Provider("n", SERVICE, ()),),
    routes=(
        route("n", (Deployment("n@n", "http://127.0.0.1:8080/v1", "n"),), Probe("?", None, 8, 1), aliases=("alias",)),
    ),
    disks=(Path("/opt/ai-backend"), Path("/var/lib/ai-backend")),
)
OF_A_USER = replace(
    GENERATION,
    folder=Path("/home/ada/.config/ai-backend-generations/1f0c"),
    config=Path("/home/ada/.config/ai-backend"),
    state=Path("/home/ada/.local/state/ai-backend"),
    scope="user",
    disks=(Path("/home/ada/.local/share/ai-backend"),),
)
CODES: tuple[Code, ...] = get_args(Code)
WITHOUT_A_SIGN: set[Code] = set()
"""Codes that need none: their message says all that there is to say."""


def check(id: str, code: Code | None = None, *, ok: bool | None = False) -> Check:
    return Check(id, id.split("/")[1], "passes", "something", "whatever was seen", ok, 0.1, code=code)


def first_cause(*checks: Check) -> str:
    """Of the first of them."""
    return explained(checks, GENERATION)[0].causes[0].cause


def test_what_passes_needs_no_explanation() -> None:
    assert explained([check("route/n/chat", ok=True)], GENERATION)[0].causes == ()


def test_what_has_no_code_is_not_explained() -> None:
    assert explained([check("unit/a.service/port", None, ok=None)], GENERATION)[0].causes == ()


def test_a_route_whose_unit_is_down_is_explained_by_it_whatever_its_code() -> None:
    down = check(f"unit/{UNIT}/active", "unit-stopped")
    for name in ("n", "alias", "n@n"):
        for code, ok in (("wrong-origin", False), ("request-failed", False), (None, None)):
            cause = first_cause(check(f"route/{name}/chat", code, ok=ok), down)  # type: ignore[arg-type]
            assert cause == f"{UNIT} does not run as it should: see its checks"


def test_a_key_that_cannot_be_read_is_the_cause_whatever_else_is_down() -> None:
    down = check(f"unit/{UNIT}/active", "unit-stopped")
    assert first_cause(check("route/n/chat", "key-unreadable", ok=None), down).startswith("its file was removed")


def test_a_route_whose_unit_is_well_is_explained_by_its_code() -> None:
    well = check(f"unit/{UNIT}/active", ok=True)
    assert first_cause(check("route/n/chat", "wrong-origin"), well).startswith(f"the gateway's requests to {UNIT} fail")
    assert first_cause(check("route/n/chat", "wrong-words"), well).startswith("another model answers")


def test_a_check_that_could_not_be_made_is_explained_too() -> None:
    assert first_cause(check("gateway/models", "key-unreadable", ok=None)).startswith("its file was removed or emptied")


def reply(status: int, message: str) -> Reply:
    return Reply(status, httpx.Headers(), f'{{"error": {{"message": "{message}"}}}}', 0.1)


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        pytest.param(401, "No valid API key was sent.", "key-refused", id="no key"),
        pytest.param(400, "No connected db.", "key-refused", id="another key"),
        pytest.param(400, "Invalid model name passed in model=ai-backend-canary", "request-failed", id="no such model"),
        pytest.param(503, "No gateway is ready.", "gateway-unavailable", id="no gateway"),
        pytest.param(500, "litellm.InternalServerError: Connection error.", "backend-unreachable", id="no connection"),
        pytest.param(408, "litellm.Timeout: APITimeoutError - Request timed out.", "backend-timeout", id="a timeout"),
        pytest.param(
            429, "Model rate limit exceeded. RPM limit=12, current usage=17.0", "over-limit", id="over the limit"
        ),
        pytest.param(
            429,
            "No deployments available for selected model, Try again in 5 seconds",
            "cooling-down",
            id="all cool down",
        ),
        pytest.param(500, "out of memory", "request-failed", id="another error"),
    ],
)
def test_an_error_of_the_gateway_gets_its_code_by_its_status_and_litellms_words(
    status: int, message: str, code: Code
) -> None:
    with pytest.raises(CheckFailed) as raised:
        reply(status, message).require_ok()
    assert raised.value.code == code


def test_a_key_that_is_refused_is_explained_at_each_check_of_the_gateway_that_needs_it() -> None:
    for name in ("models", "cache", "fallback"):
        assert first_cause(check(f"gateway/{name}", "key-refused")).startswith("the key was changed")
    assert not first_cause(check("gateway/fallback", "request-failed")).startswith("the key was changed")


def test_a_server_that_has_less_of_its_card_than_its_model_needs_is_explained() -> None:
    (found,) = explained([check(f"unit/{UNIT}/gpu-memory", "gpu-memory-low")], GENERATION)
    assert found.causes[0].cause.endswith("without its card: it computes on the processor")
    assert f"`systemctl restart {UNIT}`" in found.causes[1].cause
    assert {cause.look for cause in found.causes[1:]} == {"/etc/ai-backend/bin/gpu facts"}


def test_the_commands_name_the_unit_and_the_folder_at_hand() -> None:
    (found,) = explained([check(f"unit/{UNIT}/active", "unit-failed")], GENERATION)
    assert found.causes[0].look == f"journalctl -u {UNIT} -n 50"
    assert found.causes[1].look == "ls -lL /etc/ai-backend/install/"


# Scopes


def test_in_user_scope_the_commands_are_of_the_users_manager_and_the_paths_the_users() -> None:
    failed, stopped, key, full = explained(
        [
            check(f"unit/{UNIT}/active", "unit-failed"),
            check(f"unit/{UNIT}/ready", "answer-timeout"),
            check("gateway/models", "key-unreadable", ok=None),
            check("host/disk", "disk-full"),
        ],
        OF_A_USER,
    )
    assert [cause.look for cause in failed.causes] == [
        f"journalctl --user -u {UNIT} -n 50",
        "ls -lL /home/ada/.config/ai-backend/install/",
        "sudo journalctl -k -g oom",
    ]
    assert f"`systemctl --user restart {UNIT}`" in stopped.causes[0].cause
    assert f"$(systemctl --user show -P MainPID {UNIT})" in stopped.causes[0].look
    assert key.causes[0].look == "ls -l /home/ada/.local/state/ai-backend/secrets"
    assert full.causes[0].look == "df -h; du -xh -d 1 /home/ada/.local/share/ai-backend"


def _patterns_as_ids(name: str) -> list[str]:
    return [pattern.replace("*", "x.service") for pattern in SIGNS[name].checks]


def _said(name: str, generation: Generation) -> str:
    sign = SIGNS[name]
    words: list[str] = []
    for id in _patterns_as_ids(name):
        for code in sign.codes or (None,):
            down = [] if sign.codes else [check(f"unit/{id.split('/')[1]}/active", "unit-stopped")]
            found = explained([check(id, code), *down], generation)[0]
            words += [f"{cause.cause} {cause.look}" for cause in found.causes]
    return "\n".join(words)


@pytest.mark.parametrize("name", SIGNS)
def test_each_sign_speaks_the_right_scope(name: str) -> None:
    of_user, of_system = _said(name, OF_A_USER), _said(name, GENERATION)
    assert not re.search(r"systemctl (?!--user)|journalctl (?!--user|-k)|(?<!sudo )journalctl -k", of_user)
    assert not re.search("/etc/ai-backend|/var/lib/ai-backend|/opt/ai-backend", of_user)
    assert "--user" not in of_system
    assert "sudo" not in of_system


@pytest.mark.parametrize("name", SIGNS)
def test_each_row_can_be_written(name: str) -> None:
    assert SIGNS[name].causes
    assert "{" not in _said(name, GENERATION)


def test_the_advice_about_cards_is_a_command_that_works(tmp_path: Path) -> None:
    config = tmp_path / "config"
    write_gpu_program(config)
    (found,) = explained([check(f"unit/{UNIT}/gpu-memory", "gpu-missing")], replace(GENERATION, config=config))
    run = subprocess.run(["sh", "-c", found.causes[0].look], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert '"cards"' in run.stdout


# Codes


def test_each_code_has_a_meaning_and_is_in_standard_form() -> None:
    assert list(MEANINGS) == sorted(CODES)
    assert sorted(CODES) == list(CODES)
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", code) for code in CODES)


def test_each_code_has_a_sign_or_needs_none() -> None:
    signs = {code for sign in SIGNS.values() for code in sign.codes}
    assert signs | WITHOUT_A_SIGN == set(CODES)
    assert not signs & WITHOUT_A_SIGN


def _literals(folder: str) -> Iterator[str]:
    """Texts in the sources, but for those in the table of codes and in the doctor, which only look them up."""
    for path in (REPOSITORY / folder).rglob("*.py"):
        if path.name != "codes.py" and path.parent.name != "doctor":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_each_code_is_raised_somewhere() -> None:
    raised = {*_literals("roles/verify"), *_literals("roles/host")}
    assert set(CODES) - raised == set()


def test_a_message_that_is_reworded_loses_no_cause() -> None:
    known = check(f"unit/{UNIT}/ready", "connect-timeout")
    first, second = explained([known, replace(known, seen="words that nobody has written yet")], GENERATION)
    assert first.causes == second.causes != ()
