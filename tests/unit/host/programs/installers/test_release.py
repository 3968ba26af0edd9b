"""Released programs, unpacked here from a real HTTP server on loopback."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roles.contract.generation import INSTALL_MARK
from roles.contract.recipes import Archive, ReleaseRecipe
from roles.contract.requests import MakeInstall
from roles.host.programs.console import HostError
from roles.host.programs.installers import install, release
from tests.labhost.faulty_mirror import FaultyMirror
from tests.requests import make_install

NAME = "program-linux-amd64.tgz"


def pack(folder: Path, name: str, script: str, *paths: str) -> str:
    """An archive of one script, under each of the paths; its digest."""
    tree = folder / f"{name}.tree"
    for path in paths or ("bin/program",):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(f"#!/bin/sh\n{script}\n")
        (tree / path).chmod(0o755)
    subprocess.run(["tar", "-czf", folder / name, "-C", tree, "."], check=True)
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()


@pytest.fixture
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyMirror]:
    with FaultyMirror(tmp_path_factory.mktemp("served"), "127.0.0.1") as mirror:
        yield mirror


def request(tmp_path: Path, *archives: Archive, says: str = "1.2.3", **more: Any) -> MakeInstall:
    recipe = ReleaseRecipe(archives=archives, check=("bin/program", "--version"), says=says)
    places = {name: str(tmp_path / name) for name in ("cache", "state")}
    return make_install(tmp_path / "installs" / "abc", replace(recipe, **more), "Program 1.2.3", **places)


def test_a_release_is_unpacked_tried_and_its_archive_not_kept(mirror: FaultyMirror, tmp_path: Path) -> None:
    digest = pack(mirror.folder, NAME, "echo version is 1.2.3")
    install.main(request(tmp_path, Archive(f"{mirror.url}/{NAME}", digest)))
    program = tmp_path / "installs" / "abc" / "bin" / "program"
    assert os.access(program, os.X_OK)
    assert list((tmp_path / "cache" / "downloads").iterdir()) == []


def test_an_add_on_is_unpacked_over_it(mirror: FaultyMirror, tmp_path: Path) -> None:
    digest = pack(mirror.folder, NAME, "echo 1.2.3")
    more = pack(mirror.folder, "add-on.tgz", "", "lib/more.so")
    install.main(
        request(
            tmp_path,
            Archive(f"{mirror.url}/{NAME}", digest),
            Archive(f"{mirror.url}/add-on.tgz", more),
        )
    )
    folder = tmp_path / "installs" / "abc"
    assert (folder / "bin" / "program").exists()
    assert (folder / "lib" / "more.so").exists()


def test_leading_folders_are_dropped_and_an_add_on_goes_where_it_is_wanted(
    mirror: FaultyMirror, tmp_path: Path
) -> None:
    digest = pack(mirror.folder, NAME, "echo 1.2.3", "program-1.2.3/build/bin/program")
    more = pack(mirror.folder, "add-on.tgz", "", "add-on-1.2.3/more.so")
    install.main(
        request(
            tmp_path,
            Archive(f"{mirror.url}/{NAME}", digest, strip=2),
            Archive(f"{mirror.url}/add-on.tgz", more, strip=2, into="build/bin"),
            check=("build/bin/program",),
        )
    )
    folder = tmp_path / "installs" / "abc" / "build" / "bin"
    assert sorted(path.name for path in folder.iterdir()) == ["more.so", "program"]


def test_a_program_that_is_not_where_it_was_said_to_be_is_told_with_what_is_there(
    mirror: FaultyMirror, tmp_path: Path
) -> None:
    digest = pack(mirror.folder, NAME, "echo 1.2.3", "build/program", "LICENSE")
    with pytest.raises(HostError, match=r"has no bin/program \(but LICENSE, build\): say where .* `subdirectory`"):
        install.main(request(tmp_path, Archive(f"{mirror.url}/{NAME}", digest)))


def test_another_version_than_declared_is_refused(mirror: FaultyMirror, tmp_path: Path) -> None:
    digest = pack(mirror.folder, NAME, "echo version is 1.2.2")
    with pytest.raises(HostError, match=r"does not say '1\.2\.3' but 'version is 1\.2\.2'; fix the version"):
        install.main(request(tmp_path, Archive(f"{mirror.url}/{NAME}", digest)))
    assert not (tmp_path / "installs" / "abc" / INSTALL_MARK).exists()


@pytest.mark.parametrize("words", ["v1.2.3", "program 1.2.3.", "program-1.2.4, library 1.2.3"])
def test_the_version_may_stand_anywhere_as_a_word(mirror: FaultyMirror, tmp_path: Path, words: str) -> None:
    digest = pack(mirror.folder, NAME, f"echo '{words}'")
    install.main(request(tmp_path, Archive(f"{mirror.url}/{NAME}", digest)))


@pytest.mark.parametrize("words", ["1.2.34", "1.2.3.4", "11.2.3", "0.1.2.3", "1.2.3-rc1", "1.2.3+cu124", "1x2.3"])
def test_a_version_that_only_contains_the_declared_one_is_another(
    mirror: FaultyMirror, tmp_path: Path, words: str
) -> None:
    digest = pack(mirror.folder, NAME, f"echo 'version is {words}'")
    with pytest.raises(HostError, match=r"does not say '1\.2\.3'"):
        install.main(request(tmp_path, Archive(f"{mirror.url}/{NAME}", digest)))


def test_a_program_that_does_not_end_is_killed_with_those_that_it_started(
    mirror: FaultyMirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "LONGEST_TRY", 0.5)
    digest = pack(mirror.folder, NAME, "echo so far\nsleep 60 &\necho $! > $0.pid\nwait")
    with pytest.raises(HostError, match=r"a first try failed: .* took longer than 0\.5 s and was killed\n    so far$"):
        install.main(request(tmp_path, Archive(f"{mirror.url}/{NAME}", digest)))
    child = (tmp_path / "installs/abc/bin/program.pid").read_text().strip()
    end = time.monotonic() + 10
    while _runs(Path(f"/proc/{child}/status")):  # a killed process takes a moment to end
        assert time.monotonic() < end
        time.sleep(0.02)


def _runs(status: Path) -> bool:
    try:
        return "State:\tZ" not in status.read_text()
    except OSError:
        return False


@pytest.mark.parametrize("mark", ["  ", "  ./", " *"])
def test_a_digest_that_is_not_pinned_is_looked_up_in_the_list_beside_it(
    mirror: FaultyMirror, tmp_path: Path, mark: str, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = pack(mirror.folder, NAME, "echo 1.2.3")
    (mirror.folder / "sha256sum.txt").write_text(f"{'0' * 64}{mark}other.tgz\n{digest}{mark}{NAME}\n")
    install.main(request(tmp_path, Archive(f"{mirror.url}/{NAME}", None)))
    assert f"gives {NAME} the digest {digest}; pin it" in capsys.readouterr().out


def test_an_archive_that_the_list_does_not_name_is_refused(mirror: FaultyMirror, tmp_path: Path) -> None:
    pack(mirror.folder, NAME, "echo 1.2.3")
    (mirror.folder / "sha256sum.txt").write_text(f"{'0' * 64}  other.tgz\n")
    with pytest.raises(HostError, match=f"does not name {NAME}; give `sha256`, or fix the version"):
        install.main(request(tmp_path, Archive(f"{mirror.url}/{NAME}", None)))
