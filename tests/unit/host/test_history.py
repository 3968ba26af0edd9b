"""The list of generations: its order, where it leads back to, and what changed from one to another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.exceptions import DeployError

from roles.contract.history import KeptGenerations, ReadHistory
from roles.contract.wire import read
from roles.host.changes import changes
from roles.host.history import History, KeptGeneration
from roles.host.program import answer
from roles.litellm import LiteLLM
from roles.options import Client, EnvSecret, Secret, Stack
from roles.plan import Generation, resolve
from roles.rooms import plan_of
from roles.verify.verdict.kept import keep
from tests.requests import run_program
from tests.stacks import PLATFORM, native, python, route, small_stack
from tests.verdicts import GOOD, SPEED


def event(name: str, minute: int, what: str, **more: Any) -> dict[str, Any]:
    time = f"2026-11-24T12:{minute:02d}:00+00:00"
    return {"time": time, "event": what, "generation": name, "who": "alice@desk", **more}


def deployed(name: str, minute: int, verdict: str = "pass") -> list[dict[str, Any]]:
    return [
        event(name, minute, "activated"),
        event(name, minute, "verified", verdict=verdict, summary="as it is", seconds=1),
    ]


def history(active: str, *events: list[dict[str, Any]], missing: Mapping[str, list[str]] | None = None) -> History:
    flat = [each for some in events for each in some]
    names = sorted({each["generation"] for each in flat})
    generations = [
        {
            "name": name,
            "written": "2026-11-24T11:00:00+00:00",
            "files": {},
            "installs": {},
            "missing_installs": (missing or {}).get(name, []),
        }
        for name in names
    ]
    return History.of(
        read(KeptGenerations, {"active": active, "generations": generations, "texts": {}, "events": flat})
    )


def test_what_was_refused_before_the_switch_is_told_and_is_nothing_to_go_back_to() -> None:
    refused = event("bbb", 2, "refused", reason="litellm does not stay up")
    found = history("aaa", deployed("aaa", 1), [refused])
    newest = found.generations[0]
    assert (newest.name, newest.who, newest.passed, newest.active) == ("bbb", "alice@desk", False, False)
    assert newest.outcome == "was tried out beside the active one, and not switched to: litellm does not stay up"
    with pytest.raises(DeployError, match="no generation that is kept was active before this one and passed"):
        found.choose(None)


def test_the_newest_deploy_comes_first_and_going_back_makes_nothing_newer() -> None:
    back = event("aaa", 9, "rolled back", **{"from": "bbb"}, reason="by hand")
    found = history("aaa", deployed("ccc", 0, "fail"), deployed("aaa", 1), deployed("bbb", 2), [back])
    assert [each.name for each in found.generations] == ["bbb", "aaa", "ccc"]
    assert [each.active for each in found.generations] == [False, True, False]
    assert [each.passed for each in found.generations] == [True, True, False]


@pytest.mark.parametrize(
    "minutes",
    [(1, 2, 3), (59, 2, 3), (1, 59, 3), (3, 2, 1), (7, 7, 7)],
    ids=["right", "the first ahead", "the second ahead", "backwards", "always the same"],
)
def test_no_clock_turns_the_order_of_deploys_round(minutes: tuple[int, int, int]) -> None:
    """Ahead once, behind once, or always the same."""
    found = history(
        "ccc", *(deployed(name, minute) for name, minute in zip(("bbb", "aaa", "ccc"), minutes, strict=True))
    )
    assert [each.name for each in found.generations] == ["ccc", "aaa", "bbb"]
    assert found.choose(None).name == "aaa"


def test_a_run_that_died_before_it_wrote_down_what_it_had_activated_is_the_newest() -> None:
    later = deployed("aaa", 1) + deployed("bbb", 2)
    found = history("ccc", later, [event("ccc", 0, "verified", verdict="pass", summary="as it is", seconds=1)])
    assert found.choose(None).name == "bbb"


def test_going_back_leads_to_the_one_before_that_held() -> None:
    found = history("ddd", deployed("aaa", 1), deployed("bbb", 2), deployed("ccc", 3, "fail"), deployed("ddd", 4))
    assert found.choose(None).name == "bbb"


def test_going_back_a_second_time_leads_further_back() -> None:
    back = event("bbb", 9, "rolled back", **{"from": "ccc"}, reason="by hand")
    found = history("bbb", deployed("aaa", 1), deployed("bbb", 2), deployed("ccc", 3), [back])
    assert found.choose(None).name == "aaa"


def test_where_nothing_held_before_that_is_said_with_what_there_is() -> None:
    found = history("bbb", deployed("aaa", 1, "fail"), deployed("bbb", 2))
    with pytest.raises(DeployError, match=r"passed; name one with `--data .*there are: bbb \(active\), aaa"):
        found.choose(None)


def test_a_generation_is_named_by_how_it_begins() -> None:
    found = history("abc", deployed("abc", 1), deployed("abd", 2), deployed("xyz", 3))
    assert found.choose("x").name == "xyz"
    with pytest.raises(DeployError, match='several generations begin with "ab"; there are: xyz, abd, abc'):
        found.choose("ab")
    with pytest.raises(DeployError, match='no generation that is kept begins with "q"'):
        found.choose("q")


def test_a_generation_whose_installs_are_gone_is_refused_and_they_are_named() -> None:
    found = history("bbb", deployed("aaa", 1), deployed("bbb", 2), missing={"aaa": ["litellm (/opt/x)"]})
    for wanted in (None, "aaa"):
        with pytest.raises(
            DeployError, match=r"generation aaa cannot be activated: of its installs litellm \(/opt/x\)"
        ):
            found.choose(wanted)


def kept(generation: Generation) -> KeptGeneration:
    """A generation as it is read back from a host."""
    files = {path: hashlib.sha256(file.content).hexdigest() for path, file in generation.files.items()}
    texts = {path: file.content.decode() for path, file in generation.files.items() if file.mode == 0o644}
    installs = {each.install.name: (each.folder, each.install.title) for each in generation.installs}
    return KeptGeneration(generation.digest, False, "", "", "", True, files, texts, installs, ())


def changed(before: Stack, after: Stack, key: str = "k" * 20, new_key: str = "k" * 20) -> list[str]:
    def reveal(value: str) -> Any:
        def read(secret: Secret) -> str:
            return value

        return read

    old, new = (resolve(plan_of(stack), PLATFORM, reveal(value)) for stack, value in ((before, key), (after, new_key)))
    return changes(kept(old), kept(new))


def test_a_changed_option_is_one_line() -> None:
    assert changed(small_stack(), small_stack()) == []
    after = small_stack(providers=[native(context_size=1024), python()])
    (line,) = changed(small_stack(), after)
    assert line.startswith("llama-server@native.service: --ctx-size ")
    assert line.endswith(" → 1024")


def test_what_follows_from_a_change_is_not_told_again() -> None:
    lines = changed(small_stack(), small_stack(providers=[native(port=8090), python()]))
    assert "llama-server@native.service: --port 8080 → 8090" in lines
    assert not [line for line in lines if "api_base" in line or "ready_url" in line or "model_list" in line]


def test_a_changed_route_is_told_by_its_name() -> None:
    after = small_stack(routes=[route("n", "native"), route("p", "python")])
    assert 'model-mappings.yaml: models[n].fallbacks ["p"] → []' in changed(small_stack(), after)


def test_a_file_that_somebody_edited_is_told_as_changed() -> None:
    whole = kept(resolve(plan_of(small_stack()), PLATFORM))
    path = "providers.yaml"
    broken = replace(whole, files={**whole.files, path: "0"}, texts={**whole.texts, path: "a: [broken"})
    hidden = replace(whole, files={**whole.files, path: "1"}, texts={})  # it has another mode
    for edited in (broken, hidden):
        assert changes(whole, edited) == ["providers.yaml: changed"]


def test_clients_that_come_change_and_go_are_one_line_each() -> None:
    before = small_stack(clients=[Client(name="ada"), Client(name="bob", rpm=60), Client(name="eve")])
    after = small_stack(clients=[Client(name="bob", rpm=30, routes=["p"]), Client(name="eve"), Client(name="new")])
    assert changed(before, after) == [
        "client ada: removed, and its key refused",
        "client bob: all routes, 60 requests a minute → routes p, 30 requests a minute",
        "client new: added (all routes)",
        "ai-backend-front.service: its secrets changed",
    ]


def test_what_a_planned_generation_changes_shows_before_it_is_written() -> None:
    before, after = (
        resolve(plan_of(small_stack(clients=[Client(name="ada", tpm=tokens)])), PLATFORM) for tokens in (5, 7)
    )
    assert changes(KeptGeneration.planned(before), KeptGeneration.planned(after)) == [
        "client ada: all routes, 5 tokens a minute → all routes, 7 tokens a minute"
    ]


def test_units_that_come_and_go_are_told() -> None:
    before, after = small_stack(), small_stack(providers=[native()], routes=[route("n", "native")])
    assert "llama-cpp-python@python.service: removed" in changed(before, after)
    assert "llama-cpp-python@python.service: added" in changed(after, before)
    assert "install llama-cpp-python: removed" in changed(before, after)


def test_a_changed_secret_is_told_and_not_shown() -> None:
    stack = small_stack(gateway=LiteLLM(instances=1, master_key=EnvSecret("LITELLM_MASTER_KEY")))
    lines = changed(stack, stack, "first-secret-of-many", "other-secret-of-many")
    assert lines == ["ai-backend-front.service: its secrets changed"]


def test_the_fact_shows_texts_that_anybody_may_read_and_of_secrets_a_digest(tmp_path: Path) -> None:
    generation = tmp_path / "generations" / "abc"
    (generation / "env").mkdir(parents=True)
    (generation / "activation.json").write_text("{}")
    (generation / "env" / "x.env").write_text("KEY=never-to-be-seen")
    (generation / "env" / "x.env").chmod(0o600)
    (generation / "providers.yaml").write_text("scope: system")
    for path in ("activation.json", "providers.yaml"):
        (generation / path).chmod(0o644)
    (tmp_path / "config").symlink_to(generation)
    (tmp_path / "generations" / "previous").symlink_to(generation)
    request = ReadHistory(**{name: str(tmp_path / name) for name in ("config", "generations", "state")})
    (tmp_path / "state").mkdir()
    keep(replace(GOOD, generation="abc", speeds=(SPEED,)), tmp_path / "state")
    keep(replace(GOOD, generation="def", speeds=(replace(SPEED, first_token=9.0),)), tmp_path / "state")
    done = run_program(request)
    assert done.returncode == 0, done.stderr
    assert "never-to-be-seen" not in done.stdout
    (found,) = History.of(answer(KeptGenerations, [done.stdout])).generations
    assert (found.name, found.active, found.passed, found.outcome) == ("abc", True, False, "")
    assert found.speeds == (SPEED,)
    assert found.texts["providers.yaml"] == "scope: system"
    assert set(found.files) == {"activation.json", "env/x.env", "providers.yaml"}
