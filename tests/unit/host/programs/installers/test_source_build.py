"""Builds from source, with a stand-in for CMake. What the real one makes is in `tests/lab/test_llama_cpp.py`."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from roles.contract.recipes import ArchiveSource, BackendCheck, SourceBuildRecipe
from roles.contract.requests import MakeInstall
from roles.host.programs.console import HostError
from roles.host.programs.installers.source_build import build_from_source
from tests.requests import make_install

DIGEST = "0" * 64
CMAKE = """#!/bin/sh
# Configuring does nothing; building makes a program, and a library that has no backend at all.
[ "$1" = --build ] || exit 0
mkdir -p "$2/bin"
printf '#!/bin/sh\\necho version: 1\\n' > "$2/bin/llama-server"
chmod 755 "$2/bin/llama-server"
echo "no library" > "$2/bin/libggml.so"
"""

RECIPE = SourceBuildRecipe(
    source=ArchiveSource(url="http://127.0.0.1:9/x.tar.gz", sha256=DIGEST, subdirectory=None),
    cmake_options={"CMAKE_INSTALL_RPATH": "$ORIGIN"},
    targets=("llama-server",),
    output="bin",
)


@pytest.fixture
def build_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeInstall:
    """What a host is asked to build, its source being there already."""
    programs, downloads = tmp_path / "programs", tmp_path / "cache/downloads"
    programs.mkdir()
    downloads.mkdir(parents=True)
    (programs / "cmake").write_text(CMAKE)
    (programs / "cmake").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    (tmp_path / "CMakeLists.txt").touch()
    with tarfile.open(downloads / f"{DIGEST}.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "CMakeLists.txt", "llama.cpp/CMakeLists.txt")
    return make_install(tmp_path / "install", RECIPE, "llama.cpp")


def test_what_was_built_is_copied_and_its_tree_goes(build_request: MakeInstall, tmp_path: Path) -> None:
    folder = tmp_path / "install"
    folder.mkdir()
    build_from_source(RECIPE, build_request, folder)
    assert {path.name for path in (folder / "bin").iterdir()} == {"llama-server", "libggml.so"}
    assert not (tmp_path / "cache/build/install").exists()


def test_a_build_that_comes_out_without_its_backend_is_refused(build_request: MakeInstall, tmp_path: Path) -> None:
    recipe = replace(RECIPE, backend=BackendCheck(name="CUDA", libraries="bin"))
    folder = tmp_path / "install"
    folder.mkdir()
    with pytest.raises(HostError, match=r"llama\.cpp: it is to compute on CUDA, and has only nothing"):
        build_from_source(recipe, build_request, folder)
