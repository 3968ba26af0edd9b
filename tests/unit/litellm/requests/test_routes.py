"""The gateway's view of its routes follows the generation without a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from roles.contract.manifest import MODELS_FILE
from roles.litellm.requests.routes import Routes
from roles.rooms import plan_of
from tests.stacks import native, python, small_stack


def generation(folder: Path, size: int) -> Path:
    folder.mkdir()
    stack = small_stack(providers=[native(context_size=size), python()])
    (folder / MODELS_FILE).write_text(plan_of(stack).files[MODELS_FILE])
    return folder


def test_a_route_is_found_by_its_name_its_alias_and_its_deployment(tmp_path: Path) -> None:
    routes = Routes(generation(tmp_path / "a", 512) / MODELS_FILE)
    for name in ("n", "gpt-4o", "n@native"):
        route = routes.get(name)
        assert route is not None
        assert (route.name, route.mode, route.abilities.context_size) == ("n", "chat", 512)
    assert routes.get("ai-backend-canary") is None


def test_a_switch_to_another_generation_takes_effect_with_the_next_request(tmp_path: Path) -> None:
    link = tmp_path / "active"
    link.symlink_to(generation(tmp_path / "a", 512))
    routes = Routes(link / MODELS_FILE)
    assert routes.get("n")
    beside = tmp_path / "beside"
    beside.symlink_to(generation(tmp_path / "b", 1024))
    beside.replace(link)
    route = routes.get("n")
    assert route is not None
    assert route.abilities.context_size == 1024


@pytest.mark.parametrize("text", ["models: 5\n", "{", ""], ids=["another-shape", "no-yaml", "empty"])
def test_what_was_read_before_counts_while_the_file_cannot_be_read(tmp_path: Path, text: str) -> None:
    file = generation(tmp_path / "a", 512) / MODELS_FILE
    routes = Routes(file)
    assert routes.get("n")
    file.write_text(text)
    assert routes.get("n")
    file.unlink()
    assert routes.get("n")
