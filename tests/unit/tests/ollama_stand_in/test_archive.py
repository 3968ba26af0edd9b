"""The archive: of the real releases' shape, and the same bytes each time."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from tests.ollama_stand_in.archive import ARCHIVE_NAME, pack


def listed(archive: Path) -> list[str]:
    done = subprocess.run(["tar", "--zstd", "-tvf", archive], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def unpacked(archive: Path, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["tar", "--zstd", "-xf", archive, "-C", folder], check=True)
    return folder


def test_the_same_input_gives_the_same_bytes(llama_cpp_bin: Path, tmp_path: Path) -> None:
    archives = [tmp_path / name / ARCHIVE_NAME for name in ("one", "two")]
    digests = [pack(llama_cpp_bin, "0.32.15", archive) for archive in archives]
    assert digests == [hashlib.sha256(archive.read_bytes()).hexdigest() for archive in archives]
    assert len(set(digests)) == 1


def test_it_is_laid_out_as_a_release(llama_cpp_bin: Path, tmp_path: Path) -> None:
    archive = tmp_path / ARCHIVE_NAME
    pack(llama_cpp_bin, "0.32.15", archive)
    tree = unpacked(archive, tmp_path / "tree")
    assert {path.name for path in tree.iterdir()} == {"bin", "lib", "NOTICE"}
    assert (tree / "bin/ollama").stat().st_mode & 0o777 == 0o755
    assert (tree / "lib/ollama/llama-server").stat().st_mode & 0o777 == 0o755
    assert (tree / "lib/ollama/libllama.so").readlink() == Path("libllama.so.0")
    assert all(" root/root " in line or " 0/0 " in line for line in listed(archive))


def test_it_says_that_it_is_a_stand_in(llama_cpp_bin: Path, tmp_path: Path) -> None:
    pack(llama_cpp_bin, "0.32.15", tmp_path / ARCHIVE_NAME)
    assert "This is not Ollama" in (unpacked(tmp_path / ARCHIVE_NAME, tmp_path / "tree") / "NOTICE").read_text()


def test_it_is_the_version_that_it_was_packed_as(llama_cpp_bin: Path, tmp_path: Path) -> None:
    """So that an upgrade can be tested."""
    versions, digests = ("0.32.15", "0.33.0"), set()
    for version in versions:
        archive = tmp_path / version / ARCHIVE_NAME
        digests.add(pack(llama_cpp_bin, version, archive))
        program = unpacked(archive, tmp_path / version / "tree") / "bin/ollama"
        environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "OLLAMA_HOST": "127.0.0.1:1"}
        done = subprocess.run([program, "--version"], env=environment, capture_output=True, text=True, check=True)
        assert f"client version is {version}\n" in done.stdout
    assert len(digests) == len(versions)
