"""Packs the stand-in as the releases of Ollama are packed.

    python -m tests.ollama_stand_in.archive LLAMA_CPP_BIN VERSION TARGET

The same input gives the same bytes.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tarfile
import tempfile
from importlib.resources import files
from pathlib import Path

from tests.labhost.programs import run_program

ARCHIVE_NAME = "ollama-linux-amd64.tar.zst"
"""What the real releases call theirs: zstd since 0.14."""

_PACKAGE = "ollama_stand_in"
_ENTRY = f'''#!/usr/bin/env python3
"""A stand-in for Ollama: see NOTICE."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True  # an install is not written to
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib" / "ollama"))

from {_PACKAGE}.__main__ import main

main()
'''
_NOTICE = """This is not Ollama. It is a stand-in for its server, made for the tests of AI Unified Backend.

It speaks the part of Ollama's API that those tests use, and answers by way of the llama-server of llama.cpp that lies
beside it. It says that it is version {version}, so that upgrades can be tested.
Ollama itself: https://github.com/ollama/ollama
"""


def pack(llama_cpp_bin: Path, version: str, target: Path) -> str:
    """Write an archive with the llama-server of `llama_cpp_bin` that calls itself `version`; returns its SHA-256.

    Raises `LabError` where there is no `zstd` program.
    """
    with tempfile.TemporaryDirectory() as work:
        tree, plain = Path(work, "tree"), Path(work, "archive.tar")
        lay_out(llama_cpp_bin, version, tree)
        with tarfile.open(plain, "w", format=tarfile.GNU_FORMAT) as archive:
            for path in sorted(tree.rglob("*")):
                archive.add(path, str(path.relative_to(tree)), recursive=False, filter=_without_history)
        target.parent.mkdir(parents=True, exist_ok=True)
        run_program("zstd", "-9", "--single-thread", "--force", "--quiet", str(plain), "-o", str(target))
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lay_out(llama_cpp_bin: Path, version: str, tree: Path) -> None:
    """Write the files of an unpacked archive."""
    library = tree / "lib" / "ollama"
    package = library / _PACKAGE
    package.mkdir(parents=True)
    for module in files("tests.ollama_stand_in.server").iterdir():
        if module.name.endswith(".py"):
            (package / module.name).write_text(module.read_text())
    (package / "version.txt").write_text(f"{version}\n")
    program = llama_cpp_bin / "llama-server"
    for path in [program, *llama_cpp_bin.glob("*.so*")]:
        shutil.copy2(path, library / path.name, follow_symlinks=False)
    entry = tree / "bin" / "ollama"
    entry.parent.mkdir()
    entry.write_text(_ENTRY)
    entry.chmod(0o755)
    (tree / "NOTICE").write_text(_NOTICE.format(version=version))


def _without_history(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of who packed it, and when."""
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


if __name__ == "__main__":
    print(pack(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
