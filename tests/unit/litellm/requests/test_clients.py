"""What the gateway reads of clients: as it is now, also where a link above the file leads to another generation."""

from __future__ import annotations

import json
from pathlib import Path

from roles.contract.clients import Limits
from roles.litellm.requests.clients import DeclaredClients


def generation(folder: Path, *clients: dict[str, object]) -> Path:
    folder.mkdir()
    (folder / "clients.json").write_text(json.dumps({"clients": clients, "of a later version": 1}))
    return folder


def test_a_switch_to_another_generation_shows_at_once(tmp_path: Path) -> None:
    link = tmp_path / "config"
    link.symlink_to(generation(tmp_path / "one", {"name": "ada", "rpm": 5, "models": ["n"]}, {"name": "bob"}))
    clients = DeclaredClients(link / "clients.json")
    assert clients.get("ada") == Limits(name="ada", models=("n",), rpm=5)
    assert clients.get("bob") == Limits(name="bob")
    assert clients.get("eve") is None
    new = tmp_path / "new"
    new.symlink_to(generation(tmp_path / "two", {"name": "ada", "rpm": 7}))
    new.rename(link)
    assert clients.get("ada") == Limits(name="ada", rpm=7)
    assert clients.get("bob") is None
