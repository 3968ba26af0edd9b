"""Whether the verifier sees that the files of a generation are those that were written."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from roles.contract.verdict import Check
from roles.plan import resolve
from roles.rooms import plan_of
from roles.verify.checks.files import files_check
from tests.stacks import PLATFORM, small_stack

LATER = 3600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A generation as a deploy writes it."""
    generation = resolve(plan_of(small_stack()), PLATFORM)
    folder = tmp_path / generation.digest
    for path, file in generation.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(file.content)
        (folder / path).chmod(file.mode)
    for path, target in generation.links.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(target)
    return folder


def found(folder: Path) -> Check:
    return asyncio.run(files_check(folder))


def test_what_was_written_has_the_digest_that_it_is_named_by(folder: Path) -> None:
    assert found(folder).ok


def edit(folder: Path) -> None:
    (folder / "providers.yaml").write_text("providers: []\n")


def add(folder: Path) -> None:
    (folder / "units/another.service").touch()


def remove(folder: Path) -> None:
    (folder / "litellm-unified.yaml").unlink()


def lead_elsewhere(folder: Path) -> None:
    link = folder / "install/litellm"
    link.unlink()
    link.symlink_to("/opt/another")


def open_to_all(folder: Path) -> None:
    (folder / "providers.yaml").chmod(0o666)


@pytest.mark.parametrize("change", [edit, add, remove, lead_elsewhere, open_to_all])
def test_any_change_is_seen(folder: Path, change: Callable[[Path], None]) -> None:
    change(folder)
    assert found(folder).ok is False


def test_what_was_changed_later_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(folder)
    real = Path.lstat

    def aged(path: Path) -> os.stat_result:
        """All but one file are an hour older: nobody can set the time of a file's last change."""
        seen = real(path)
        if path.name == "providers.yaml":
            return seen
        return os.stat_result((*seen[:7], *(time.time() - LATER for _ in range(3))))

    monkeypatch.setattr(Path, "lstat", aged)
    assert "; changed since: providers.yaml" in found(folder).seen


def test_a_folder_that_is_not_there_can_not_be_compared(tmp_path: Path) -> None:
    check = found(tmp_path / "0123456789abcdef")
    assert check.ok is False
