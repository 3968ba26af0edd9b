"""The programs that run on hosts, run here: on temporary folders and against a real HTTP server on loopback."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roles.contract.generation import GeneratedVariable
from roles.contract.recipes import FilesRecipe
from roles.contract.requests import MakeInstall, Prune, WriteGeneration
from roles.host.programs import prune
from roles.host.programs.below import Folder
from roles.host.programs.console import HostError
from roles.host.programs.files import link_atomic, remove_tree, write_atomic
from roles.host.programs.generations import write as generation
from roles.host.programs.installers import download as download_module
from roles.host.programs.installers import install
from roles.host.programs.installers.download import Digest, download
from tests.labhost.faulty_mirror import FaultyMirror
from tests.requests import make_install, run_program

CONTENT = bytes(range(256)) * 8192  # 2 MiB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyMirror]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "file.bin").write_bytes(CONTENT)
    with FaultyMirror(folder, "127.0.0.1") as mirror:
        yield mirror


def fetch(mirror: FaultyMirror, folder: Path) -> None:
    with Folder(folder) as handle:
        download(f"{mirror.url}/file.bin", Digest("sha256", DIGEST), handle, "file", "a file")


def sent(mirror: FaultyMirror) -> int:
    return sum(served.sent for served in mirror.served)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roles.host.programs.installers.download.time.sleep", lambda seconds: None)


def test_a_download_that_is_cut_is_resumed_and_sends_nothing_twice(mirror: FaultyMirror, tmp_path: Path) -> None:
    mirror.faults.cut_after = 300_000
    fetch(mirror, tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert sent(mirror) == len(CONTENT)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_download_that_stalls_is_given_up_and_resumed(
    mirror: FaultyMirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(download_module, "STALL_SECONDS", 0.2)
    mirror.faults.stall_after = 700_000
    fetch(mirror, tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert sent(mirror) == len(CONTENT)
    assert "nothing came for 0.2 s; trying again at 0.7 MB" in capsys.readouterr().out


def test_what_an_earlier_run_fetched_is_not_fetched_again(mirror: FaultyMirror, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT[:1_500_000])
    fetch(mirror, tmp_path)
    assert sent(mirror) == len(CONTENT) - 1_500_000


def test_a_complete_part_is_checked_and_used(mirror: FaultyMirror, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT)
    fetch(mirror, tmp_path)
    assert sent(mirror) == 0


def test_a_server_without_ranges_is_fetched_from_anew(mirror: FaultyMirror, tmp_path: Path) -> None:
    mirror.faults.ignore_range = True
    (tmp_path / "file.part").write_bytes(b"x" * 1000)
    fetch(mirror, tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("resumed", [False, True])
def test_another_digest_is_refused_and_named(mirror: FaultyMirror, tmp_path: Path, resumed: bool) -> None:
    mirror.faults.flip_byte = len(CONTENT) - 1
    if resumed:
        (tmp_path / "file.part").write_bytes(CONTENT[:5000])
    with pytest.raises(HostError, match=rf"has the digest [0-9a-f]{{64}}, not {DIGEST} as declared"):
        fetch(mirror, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_final_and_named(mirror: FaultyMirror, tmp_path: Path) -> None:
    (mirror.folder / "file.bin").unlink()
    with pytest.raises(HostError, match=r"file\.bin answers 404"):
        fetch(mirror, tmp_path)


def test_a_server_that_stays_down_is_given_up_with_what_came_kept(mirror: FaultyMirror, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT[:5000])
    mirror.faults.refuse_with = 503
    with pytest.raises(HostError, match=r"503 .*\(6 tries\).* run again to resume"):
        fetch(mirror, tmp_path)
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:5000]


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    mirror: FaultyMirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module, "_RESERVE", 1 << 60)
    with pytest.raises(HostError, match="Nothing was fetched; make room"):
        fetch(mirror, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_secret_file_is_never_readable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    real = os.fdopen

    def noting(descriptor: int, mode: str) -> Any:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return real(descriptor, mode)

    monkeypatch.setattr("roles.host.programs.files.os.fdopen", noting)
    write_atomic(tmp_path / "secret", b"hush", 0o600)
    assert modes == [0o600]
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomic(tmp_path / "file", b"old", 0o644)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("roles.host.programs.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(tmp_path / "file", b"new", 0o644)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_link_is_turned_in_one_step(tmp_path: Path) -> None:
    link_atomic(tmp_path / "current", "one")
    link_atomic(tmp_path / "current", "two")
    assert (tmp_path / "current").readlink() == Path("two")
    assert len(list(tmp_path.iterdir())) == 1


def test_removing_a_tree_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "tree")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def _generation(folder: Path, **files: str) -> WriteGeneration:
    secrets = f"{folder.parent}/secrets"
    return WriteGeneration(
        state=str(folder.parent),
        scope="system",
        folder=str(folder),
        files={name: (base64.b64encode(text.encode()).decode(), 0o640) for name, text in files.items()},
        links={"install/x": "/opt/x"},
        generated_secrets=(
            GeneratedVariable(path=f"{secrets}/key.env", variable="KEY", prefix="sk-", also="CALLERS_KEY"),
            GeneratedVariable(path=f"{secrets}/one-name.env", variable="PASSWORD"),
        ),
    )


def test_a_generation_is_complete_under_its_name_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(path: Path, target: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(generation, "link_atomic", dies)
        with pytest.raises(OSError, match="No space"):
            generation.main(_generation(tmp_path / "g1", a="1"))
    assert not (tmp_path / "g1").exists()
    generation.main(_generation(tmp_path / "g1", a="1"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g1", "secrets"]
    assert (tmp_path / "g1" / "a").read_text() == "1"
    assert stat.S_IMODE((tmp_path / "g1" / "a").stat().st_mode) == 0o640


def test_an_edited_generation_is_fixed_in_place(tmp_path: Path) -> None:
    generation.main(_generation(tmp_path / "g1", a="1"))
    (tmp_path / "g1" / "a").write_text("edited")
    (tmp_path / "g1" / "stranger").write_text("x")
    generation.main(_generation(tmp_path / "g1", a="1"))
    assert sorted(path.name for path in (tmp_path / "g1").iterdir()) == ["a", "install"]
    assert (tmp_path / "g1" / "a").read_text() == "1"


def test_a_generated_secret_is_made_once_and_private(tmp_path: Path) -> None:
    generation.main(_generation(tmp_path / "g1", a="1"))
    key = tmp_path / "secrets" / "key.env"
    first = key.read_text()
    generation.main(_generation(tmp_path / "g2", a="2"))
    assert key.read_text() == first
    one, other = first.splitlines()
    assert one.startswith('KEY="sk-')
    assert other == f"CALLERS_{one}"
    assert len(one) > 40
    assert len((tmp_path / "secrets/one-name.env").read_text().splitlines()) == 1
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def _install(folder: Path, text: str, file: str = "x/y.txt") -> MakeInstall:
    places = {name: str(folder / name) for name in ("cache", "state")}
    recipe = FilesRecipe(files={file: text})
    return make_install(folder / "installs" / "abc", recipe, "some files", **places)


def test_a_half_made_install_is_made_anew_and_a_whole_one_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "installs" / "abc"
    (folder / "x").mkdir(parents=True)
    (folder / "x" / "half.txt").write_text("remains of a killed run")
    install.main(_install(tmp_path, "whole"))
    assert not (folder / "x" / "half.txt").exists()
    assert (folder / "x" / "y.txt").read_text() == "whole"
    install.main(_install(tmp_path, "not written, it is there"))
    assert (folder / "x" / "y.txt").read_text() == "whole"


def test_pruning_removes_what_it_is_told_and_says_how_much(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("kept", "unused"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x" * 3_000_000)
    prune.main(Prune(state=str(tmp_path), folders=(str(tmp_path / "unused"),), commands=()))
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert "3.0 MB freed" in capsys.readouterr().out


def test_the_bootstrap_runs_a_program_from_standard_input(tmp_path: Path) -> None:
    done = run_program(_install(tmp_path, "by way of stdin"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "installs" / "abc" / "x" / "y.txt").read_text() == "by way of stdin"


def test_a_program_that_fails_says_so_in_one_message(tmp_path: Path) -> None:
    done = run_program(_install(tmp_path, "", file="/x"))
    assert done.returncode == 1
    assert done.stderr.startswith("some files names a file '/x': that is an absolute path.")
    assert done.stderr.count("\n") == 1
