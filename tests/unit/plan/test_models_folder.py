"""Models on another disk, in a plan: where installs are, what units wait for and see, and what can never work."""

from __future__ import annotations

import pytest

from roles.host.state import state_request
from roles.options import OptionsError, Stack, UserScope
from roles.plan import HostPlan, layout_of, resolve
from roles.rooms import plan_of
from tests.stacks import PLATFORM, small_stack, user_scope


def planned(stack: Stack, unit: str) -> tuple[HostPlan, str]:
    plan = plan_of(stack)
    return plan, next(each.text for each in plan.units if each.name == unit)


def folders(stack: Stack) -> set[str]:
    """Those that its models are made in."""
    generation = resolve(plan_of(stack), PLATFORM, reveal=lambda _: "x" * 20)
    return {each.folder.rpartition("/")[0] for each in generation.installs if each.install.name.startswith("model-")}


def test_models_are_made_there_and_what_reads_them_waits_for_the_mount() -> None:
    stack = small_stack(models_folder="/data/models/")
    assert folders(stack) == {"/var/lib/ai-backend/models-elsewhere/data:models"}
    plan, unit = planned(stack, "llama-server@native.service")
    assert "RequiresMountsFor=/data/models\n" in unit
    assert "ProtectHome=yes" in unit
    assert "/data/models" in plan.layout.disks
    _, gateway = planned(stack, "litellm@a.service")
    assert "RequiresMountsFor" not in gateway


def test_former_folders_are_looked_through_also_without_the_option() -> None:
    for stack in (small_stack(models_folder="/data/models"), small_stack()):
        marked = state_request(plan_of(stack)).marked_folders
        assert {"/var/lib/ai-backend/models", "/var/lib/ai-backend/models-elsewhere"} < {*marked}
    assert folders(small_stack()) == {"/var/lib/ai-backend/models"}


def test_two_folders_never_have_one_name() -> None:
    names = {layout_of(user_scope(), path).models for path in ("/a/b-c", "/a-b/c", "/a/b/c", "/a-b-c")}
    assert len(names) == 4


def test_in_a_home_units_and_the_verifier_see_that_folder_alone() -> None:
    for unit in ("llama-server@native.service", "ai-backend-verify.service"):
        _, text = planned(small_stack(models_folder="/home/models"), unit)
        assert "ProtectHome=tmpfs\nBindReadOnlyPaths=-/home/models\n" in text


def test_in_user_scope_it_is_reached_from_the_users_own_state() -> None:
    scope = user_scope()
    assert isinstance(scope, UserScope)
    assert (
        layout_of(scope, "/data/ai").models == f"{scope.home_folder}/.local/state/ai-backend/models-elsewhere/data:ai"
    )
    _, unit = planned(small_stack(models_folder="/data/ai", scope=scope), "llama-server@native.service")
    assert "RequiresMountsFor" not in unit


@pytest.mark.parametrize("folder", ["/var/lib/ai-backend/models", "/opt/ai-backend", "/etc", "/var/cache/ai-backend/m"])
def test_a_folder_that_is_managed_already_is_refused(folder: str) -> None:
    with pytest.raises(OptionsError, match="which deploys manage, are one within the other"):
        plan_of(small_stack(models_folder=folder))


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        pytest.param("https://files.example.com/m", "is an address, and this is a path on the host", id="address"),
        pytest.param("models", "is no whole path on the host", id="relative"),
        pytest.param("~/models", "is in somebody's home folder", id="home"),
        pytest.param("/data/../models", "has `.` or `..` in it", id="upwards"),
        pytest.param("/tmp/models", "is in /tmp, of which each service has its own", id="private tmp"),
        pytest.param("/" + "m" * 250, "is longer than 240 bytes", id="too long"),
        pytest.param("/", "is no whole path on the host", id="root"),
    ],
)
def test_what_is_no_folder_of_the_host_is_refused_in_words(folder: str, words: str) -> None:
    with pytest.raises(OptionsError, match="models_folder") as refused:
        small_stack(models_folder=folder)
    assert words in str(refused.value)
