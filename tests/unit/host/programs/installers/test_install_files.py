"""An install that is not what it was is found, by the host's programs and by the verifier alike, and is made anew."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from roles.contract.generation import INSTALL_FILES, INSTALL_MARK
from roles.contract.recipes import FilesRecipe
from roles.contract.requests import MakeInstall
from roles.host.programs.files import link_atomic
from roles.host.programs.installers import install
from roles.host.programs.installers.install_files import is_damaged
from roles.verify.checks.installs import install_checks
from tests.deployed import deployed
from tests.requests import make_install

TEXTS = {"bin/run": "#!/bin/sh\n", "lib/a.py": "A = 1\n", "lib/__pycache__/a.pyc": "compiled", "lib/b.py": ""}


def request(folder: Path) -> MakeInstall:
    return make_install(folder, FilesRecipe(files=TEXTS), "a program")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files" / "0123"
    install.main(request(made))
    return made


def check(folder: Path, *, deep: bool = False) -> tuple[bool | None, str]:
    links = folder.parents[1] / "generation/install"
    links.mkdir(parents=True, exist_ok=True)
    for name in ("it", "same"):
        if not (links / name).is_symlink():
            (links / name).symlink_to(folder)
    (made,) = [asyncio.run(each) for each in install_checks(deployed(links.parent), deep=deep)]
    assert made.id == "install/it/files"
    return made.ok, made.seen


def test_an_install_that_nobody_touched_is_whole(folder: Path) -> None:
    assert not is_damaged(folder)
    assert check(folder) == (True, "4 files, untouched")
    assert check(folder, deep=True) == (True, "4 files, all of them read")


def _keeping_its_time(file: Path, text: str) -> None:
    status = file.stat()
    file.write_text(text)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def _without(folder: Path, list_of_files: str | None) -> None:
    """A file is gone, and the list of them is another, or gone too."""
    (folder / "lib/b.py").unlink()
    (folder / INSTALL_FILES).unlink()
    if list_of_files:
        (folder / INSTALL_FILES).write_text(list_of_files)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "other bytes": (lambda folder: (folder / "lib/a.py").write_text("A = 2\n"), "lib/a.py was changed"),
    "cut to nothing": (lambda folder: os.truncate(folder / "lib/__pycache__/a.pyc", 0), "lib/__pycache__/a.pyc was"),
    "cut, with its time": (lambda folder: _keeping_its_time(folder / "lib/a.py", "A"), "lib/a.py was changed"),
    "another mode": (lambda folder: (folder / "bin/run").chmod(0o666), "bin/run was changed"),
    "gone": (lambda folder: (folder / "lib/b.py").unlink(), "lib/b.py is gone"),
    "added": (lambda folder: (folder / "lib/x.pth").write_text("import os"), "lib/x.pth was added"),
    "a link in its place": (lambda folder: link_atomic(folder / "lib/b.py", "/dev/null"), "lib/b.py was changed"),
    "an odd name": (lambda folder: Path(os.fsdecode(bytes(folder) + b"/\xff\n")).touch(), r"\udcff\n was added"),
    "no list": (lambda folder: _without(folder, None), "No such file"),
    "a broken list": (lambda folder: _without(folder, "[7]"), "list"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_install_is_named_and_made_anew(folder: Path, name: str) -> None:
    damage, told = DAMAGES[name]
    damage(folder)
    assert is_damaged(folder)
    ok, seen = check(folder)
    assert ok is False
    assert seen.startswith("damaged: ")
    assert told in seen
    kept_open = os.open(folder, os.O_RDONLY)
    install.main(request(folder))
    assert os.fstat(kept_open).st_ino != folder.stat().st_ino, "who has it open goes on with what it has"
    os.close(kept_open)
    assert check(folder, deep=True) == (True, "4 files, all of them read")
    assert [each.name for each in folder.parent.iterdir()] == [folder.name]


def test_bytes_that_changed_behind_the_file_systems_back_are_found_by_a_deep_look(folder: Path) -> None:
    _keeping_its_time(folder / "lib/a.py", "A = 3\n")
    assert check(folder) == (True, "4 files, untouched")
    assert check(folder, deep=True) == (False, "damaged: lib/a.py has other bytes")


def test_an_install_of_a_version_that_kept_no_record_counts_as_whole(folder: Path) -> None:
    mark = json.loads((folder / INSTALL_MARK).read_text())
    del mark["tree"]
    (folder / INSTALL_MARK).write_text(json.dumps(mark))
    (folder / INSTALL_FILES).unlink()
    (folder / "lib/b.py").unlink()
    assert not is_damaged(folder)
    assert check(folder) == (True, "installed by a version that kept no record")


def test_an_install_that_is_gone_is_told(folder: Path) -> None:
    check(folder)
    (folder / INSTALL_MARK).unlink()
    assert not is_damaged(folder), "its mark says that it is to be made"
    assert check(folder)[0] is False
