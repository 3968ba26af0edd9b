"""Hubs that mean harm: each is refused in one message, and nothing outside the model's folder is touched."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roles.contract.recipes import HubModelRecipe
from roles.contract.requests import MakeInstall
from roles.host.programs.console import HostError
from roles.host.programs.installers import install
from tests.hostile.hub import COMMIT, CONTENT, LISTS, PATTERNS, REPOSITORY, Answer, HostileServer, head, hub, listed
from tests.hostile.snapshot import snapshot
from tests.requests import make_install


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roles.host.programs.installers.download.time.sleep", lambda seconds: None)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a model in a small world, with what an attack would like to change."""
    (tmp_path / "etc" / "cron.d").mkdir(parents=True)
    (tmp_path / "etc" / "passwd").write_text("root")
    (tmp_path / "models" / "other").mkdir(parents=True)
    (tmp_path / "models" / "other" / "weights").write_text("theirs")
    return tmp_path / "models" / "own"


def request(server: HostileServer, model: Path, **changes: Any) -> MakeInstall:
    recipe = HubModelRecipe(endpoint=server.url, repository=REPOSITORY, revision="main", files=PATTERNS, sha256=None)
    return make_install(model, replace(recipe, **changes), "a model", token="hf_never_to_be_seen")


def refused(model: Path, answers: dict[str, Answer], **changes: Any) -> str:
    """What an install from such a Hub says in the end."""
    with HostileServer("127.0.0.1", answers, lambda: head(200, CONTENT)) as server:
        wanted = request(server, model, **changes)
        with pytest.raises(HostError) as caught:
            install.main(wanted)
    return str(caught.value)


@pytest.mark.parametrize("what", LISTS)
def test_it_is_refused_in_one_message_and_nothing_else_is_touched(model: Path, what: str) -> None:
    before = snapshot(model.parents[1], model)
    with (
        HostileServer("127.0.0.1", LISTS[what], lambda: head(200, CONTENT)) as server,
        pytest.raises(HostError) as caught,
    ):
        install.main(request(server, model))
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 700
    assert "hf_never_to_be_seen" not in message
    assert snapshot(model.parents[1], model) == before
    assert not (model / ".install.json").exists()
    assert sum(path.stat().st_size for path in model.rglob("*") if path.is_file()) <= len(CONTENT)


def test_a_pinned_commit_is_the_one_that_comes(model: Path) -> None:
    answers = hub([listed("planted.txt")], commit="f" * 40)
    answers[f"/api/models/{REPOSITORY}/revision/{COMMIT}"] = answers.pop(f"/api/models/{REPOSITORY}/revision/main")
    with (
        HostileServer("127.0.0.1", answers) as server,
        pytest.raises(HostError, match=f"for commit {COMMIT} it gives ffff"),
    ):
        install.main(request(server, model, revision=COMMIT))


def test_names_that_nobody_wants_do_not_matter(model: Path) -> None:
    answers = hub([listed("../../planted.bin"), listed("nested/fine.txt"), {"type": "directory", "path": "/"}])
    with HostileServer("127.0.0.1", answers, lambda: head(200, CONTENT)) as server:
        install.main(request(server, model, files=("*.txt",)))
    assert (model / "nested" / "fine.txt").read_bytes() == CONTENT


@pytest.mark.parametrize("where", ["planted.txt", "planted.txt.part", "nested"])
@pytest.mark.parametrize("kind", ["link", "hard link", "pipe"])
def test_what_somebody_laid_in_the_way_is_not_followed(model: Path, where: str, kind: str) -> None:
    model.mkdir()
    passwd = model.parents[1] / "etc" / "passwd"
    match kind:
        case "link":
            (model / where).symlink_to(passwd if where != "nested" else passwd.parent)
        case "hard link":
            os.link(passwd, model / where)
        case "pipe":
            os.mkfifo(model / where)
    before = snapshot(model.parents[1])
    answers = hub([listed("nested/planted.txt" if where == "nested" else "planted.txt")])
    with (
        HostileServer("127.0.0.1", answers, lambda: head(200, CONTENT)) as server,
        pytest.raises(HostError, match="remove it and run again"),
    ):
        install.main(request(server, model))
    assert snapshot(model.parents[1]) == before
