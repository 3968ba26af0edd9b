"""Archives that mean harm: each is refused in one message, and nothing outside its folder is touched."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from roles.contract.recipes import Archive, ReleaseRecipe
from roles.contract.requests import UnpackArchive
from roles.host.programs.console import HostError
from roles.host.programs.installers import archive, install
from roles.host.programs.installers.archive import REFUSED
from tests.hostile.archives import ARCHIVES, SCRIPT, entry, folder, hard_link, link, tar, zstd
from tests.hostile.snapshot import snapshot
from tests.requests import make_install


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    """A small world: what lies beside and above the folder that archives are unpacked into."""
    (tmp_path / "etc" / "cron.d").mkdir(parents=True)
    (tmp_path / "etc" / "passwd").write_text("root")
    (tmp_path / "opt" / "installs" / "abc").mkdir(parents=True)
    (tmp_path / "opt" / "installs" / "other").mkdir()
    (tmp_path / "opt" / "installs" / "other" / "file").write_text("theirs")
    return tmp_path


def unpack(sandbox: Path, content: bytes, strip: int = 0, into: str = ".") -> int:
    (sandbox / "archive").write_bytes(content)
    target = str(sandbox / "opt" / "installs" / "abc")
    return archive.main(UnpackArchive(archive=str(sandbox / "archive"), folder=target, strip=strip, into=into))


def refused(sandbox: Path, capsys: pytest.CaptureFixture[str], content: bytes, strip: int = 0, into: str = ".") -> str:
    """Why it is: after which nothing has changed."""
    (sandbox / "archive").write_bytes(content)
    before = snapshot(sandbox, sandbox / "archive")
    capsys.readouterr()
    assert unpack(sandbox, content, strip, into) == 1
    said = capsys.readouterr().out
    assert said.startswith(REFUSED)
    assert said.count("\n") == 1
    assert said.removesuffix("\n").isascii()
    assert said.removesuffix("\n").isprintable()
    assert len(said) < 600
    after = snapshot(sandbox, sandbox / "archive")
    # What ends early in its last bytes is seen when it is written: it stays in its own folder, and counts for nothing.
    own = str(sandbox / "opt" / "installs" / "abc")
    assert {path: found for path, found in after.items() if not path.startswith(own)} == {
        path: found for path, found in before.items() if not path.startswith(own)
    }
    return said


@pytest.mark.parametrize("what", ARCHIVES)
def test_it_is_refused_in_one_message_and_nothing_else_is_touched(
    sandbox: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    refused(sandbox, capsys, ARCHIVES[what]())
    assert list((sandbox / "opt" / "installs" / "abc").iterdir()) == []


def test_nothing_is_written_before_all_of_it_was_looked_at(sandbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(sandbox, capsys, tar(*(entry(f"a{number}") for number in range(50)), link("last", "../..")))
    assert list((sandbox / "opt" / "installs" / "abc").iterdir()) == []


@pytest.mark.parametrize("name", [".install.json", "../planted", "a/b/../../../planted"])
def test_dropping_folders_uncovers_no_other_name(sandbox: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    refused(sandbox, capsys, tar(entry(f"top/{name}"), strip="top/"), strip=1)


def test_a_link_that_two_archives_make_together_is_refused(sandbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert unpack(sandbox, tar(link("a/b/up", "../.."))) == 0
    assert "leads out of it" in refused(sandbox, capsys, tar(link("c", "a/b/up/../../planted")))


def test_a_file_through_a_link_of_an_earlier_archive_is_refused(
    sandbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unpack(sandbox, tar(folder("b"), link("a", "b"))) == 0
    assert "a is a link, or not what belongs there" in refused(sandbox, capsys, tar(entry("a/planted")))


def test_more_than_the_disk_has_room_for_is_refused_before_anything_is_written(
    sandbox: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = gzip.compress(tar(entry("a", bytes(20 << 20))))
    free = os.statvfs(sandbox).f_bavail * os.statvfs(sandbox).f_frsize
    monkeypatch.setattr(archive, "_RESERVE", free - (10 << 20))
    said = refused(sandbox, capsys, content)
    assert "it unpacks to 21.0 MB or more, and" in said
    assert "make room, or take another one" in said
    assert list((sandbox / "opt" / "installs" / "abc").iterdir()) == []


@pytest.mark.parametrize("limit", ["_MOST_MEMBERS", "_MOST_LINKS"])
def test_no_more_members_and_links_are_read_than_anybody_needs(
    sandbox: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(archive, limit, 5)
    assert "it has more than 5" in refused(sandbox, capsys, tar(*(link(f"a{number}", "b") for number in range(6))))


@pytest.mark.parametrize("packed", [lambda content: content, gzip.compress, zstd], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize(
    "form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT], ids=["GNU", "PAX", "USTAR"]
)
def test_a_good_archive_comes_out_as_it_went_in_but_for_rights(sandbox: Path, packed: Any, form: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as made:
        for info, content in (
            folder("./"), folder("./lib/"), entry("./bin/program", SCRIPT, mode=0o6777, mtime=1_700_000_000),
            entry("./lib/libone.so.1", b"one" * 1000, mode=0o666), link("./lib/libone.so", "libone.so.1"),
            link("./bin/back", "../lib/libone.so"), hard_link("./lib/two", "./lib/libone.so.1"),
            entry(f"./lib/{'long-' * 15}/{'name-' * 15}", b"x"), folder("./lib"),
        ):  # fmt: skip
            made.addfile(info, io.BytesIO(content))
    assert unpack(sandbox, packed(out.getvalue()), into="here/below") == 0
    there = sandbox / "opt" / "installs" / "abc" / "here" / "below"
    assert (there / "bin" / "program").read_bytes() == SCRIPT
    assert (there / "bin" / "program").stat().st_mtime == 1_700_000_000
    assert stat.S_IMODE((there / "bin" / "program").stat().st_mode) == 0o755
    assert stat.S_IMODE((there / "lib" / "libone.so.1").stat().st_mode) == 0o644
    assert (there / "bin" / "back").read_bytes() == (there / "lib" / "two").read_bytes() == b"one" * 1000
    assert (there / "lib" / ("long-" * 15) / ("name-" * 15)).read_bytes() == b"x"


@pytest.mark.parametrize("what", ["a link up", "a gzip that ends early", "named by far up", "a file of a petabyte"])
def test_an_install_is_told_why_and_does_not_count(sandbox: Path, what: str) -> None:
    """By the program that deploys run: in a process of its own, as in user scope."""
    content = ARCHIVES[what]()
    digest = hashlib.sha256(content).hexdigest()
    (sandbox / "cache" / "downloads").mkdir(parents=True)
    (sandbox / "cache" / "downloads" / digest).write_bytes(content)
    target = sandbox / "opt" / "installs" / "new"
    archives = (Archive("http://127.0.0.1:9/x.tgz", digest),)
    recipe = ReleaseRecipe(archives=archives, check=("bin/program",), says="1.2.3")
    request = make_install(target, recipe, "Program 1.2.3", cache=str(sandbox / "cache"))
    before = snapshot(sandbox, target)
    with pytest.raises(HostError, match=r"^Program 1\.2\.3: unpacking x\.tgz: .+") as caught:
        install.main(request)
    assert "python3" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert snapshot(sandbox, target) == before
    assert not (target / ".install.json").exists()
