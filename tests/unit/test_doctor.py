"""The likely causes of what does not hold, told by what was seen, and by what else does not hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roles.contract.verdict import Check
from roles.verify.doctor import SIGNS, explained
from roles.verify.generation import Deployment, Generation, Probe, Provider, Route, Service

SERVICE = Service("llama-server@n.service", "127.0.0.1", 8080, "http://127.0.0.1:8080/health", 30, Path("/nowhere"))
GENERATION = Generation(
    folder=Path("/etc/ai-backend-generations/1f0c"),
    config=Path("/etc/ai-backend"),
    state=Path("/var/lib/ai-backend"),
    scope="system",
    gateway=None,
    providers=(Provider("n", SERVICE, ()),),
    routes=(
        Route("n", ("alias",), "chat", (Deployment("n@n", "http://127.0.0.1:8080/v1", "n"),), Probe("?", None, 8, 1)),
    ),
)


def check(id: str, seen: str, *, ok: bool | None = False) -> Check:
    return Check(id, id.split("/")[1], "holds", "something", seen, ok, 0.1)


def first_cause(*checks: Check) -> str:
    """Of the first of them."""
    return explained(checks, GENERATION)[0].causes[0].cause


def test_what_holds_needs_no_explanation() -> None:
    assert explained([check("route/n/chat", "words", ok=True)], GENERATION)[0].causes == ()


def test_a_route_whose_unit_is_down_is_explained_by_it_whatever_was_seen() -> None:
    down = check("unit/llama-server@n.service/active", "inactive (dead)")
    for name in ("n", "alias", "n@n"):
        cause = first_cause(check(f"route/{name}/chat", "answered by p@p; attempted fallbacks: 1"), down)
        assert cause == "llama-server@n.service does not run as it should: see its checks"


def test_a_route_whose_unit_is_well_is_explained_by_what_was_seen() -> None:
    well = check("unit/llama-server@n.service/active", "active", ok=True)
    assert first_cause(check("route/n/chat", 'answered by "p@p"'), well).startswith(
        "the gateway's requests to llama-server@n.service fail"
    )
    assert first_cause(check("route/n/chat", '"other" holds no "words"'), well).startswith("another model answers")


def test_a_check_that_could_not_be_made_is_explained_too() -> None:
    seen = "/var/lib/ai-backend/secrets/master-key.env: No such file or directory"
    assert first_cause(check("gateway/models", seen, ok=None)).startswith("its file was removed or emptied")


def test_a_key_that_is_refused_is_told_at_each_check_that_needs_it_and_no_other_bad_request_is() -> None:
    for name in ("models", "cache", "fallback"):
        assert first_cause(check(f"gateway/{name}", '400 "No connected db."')).startswith("the key was changed")
    unknown = check("gateway/fallback", '400 "Invalid model name passed in model=ai-backend-canary"')
    assert not first_cause(unknown).startswith("the key was changed")


def test_a_server_that_holds_less_of_its_card_than_its_model_needs_is_explained() -> None:
    seen = "it holds 543 MB of GPU 0 (NVIDIA H100 80GB HBM3), and the layers of its model have 4.4 GB: it computes on …"
    (found,) = explained([check("unit/llama-server@n.service/gpu-memory", seen)], GENERATION)
    assert found.causes[0].cause.endswith("without its card: it computes on the processor")
    assert "`systemctl restart llama-server@n.service`" in found.causes[1].cause
    assert {cause.look for cause in found.causes[1:]} == {"/etc/ai-backend/bin/gpu facts"}


def test_the_commands_name_the_unit_and_the_folder_at_hand() -> None:
    (found,) = explained([check("unit/llama-server@n.service/active", "failed (exit-code)")], GENERATION)
    assert found.causes[0].look == "journalctl -u llama-server@n.service -n 50"
    assert found.causes[1].look == "ls -lL /etc/ai-backend/install/"


@pytest.mark.parametrize("name", SIGNS)
def test_each_row_can_be_written_and_searched(name: str) -> None:
    sign = SIGNS[name]
    assert sign.causes
    re.compile(sign.seen)
    for cause in sign.causes:
        words = {"unit": "u", "config": "/c"}
        assert "{" not in cause.cause.format(**words) + cause.look.format(**words).replace("{print", "")
