"""Ollama's releases: an archive counts as the version that it is, whatever server runs on the host meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from roles.contract.generation import INSTALL_MARK
from roles.contract.recipes import ReleaseRecipe
from roles.host.programs.console import HostError
from roles.host.programs.installers import install
from roles.ollama import OllamaRelease
from roles.ollama.plan import release_install
from tests.labhost.faulty_mirror import FaultyMirror
from tests.ollama_stand_in.archive import ARCHIVE_NAME, lay_out, pack
from tests.ollama_stand_in.process import running
from tests.requests import make_install

VERSIONS = ("0.32.1", "0.32.14", "0.32.15")

Try = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama-server that is never started."""
    folder = tmp_path_factory.mktemp("llama-cpp-bin")
    (folder / "llama-server").write_text("#!/bin/sh\nexit 3\n")
    return folder


@pytest.fixture
def install_as(programs: Path, tmp_path: Path) -> Try:
    """Installs the archive of one version as another, and returns the install's folder."""

    def made(packed: str, declared: str) -> Path:
        served = tmp_path / "served"
        sha256 = pack(programs, packed, served / ARCHIVE_NAME)
        with FaultyMirror(served, "127.0.0.1") as mirror:
            wanted = release_install(OllamaRelease(version=declared, url=mirror.url, sha256=sha256), "ollama")
            assert isinstance(wanted.recipe, ReleaseRecipe)
            places = {name: str(tmp_path / name) for name in ("cache", "state")}
            folder = tmp_path / "installs" / declared
            install.main(make_install(folder, wanted.recipe, wanted.title, **places))
            return folder

    return made


@pytest.mark.parametrize("runs", [None, *VERSIONS])
@pytest.mark.parametrize("packed", VERSIONS)
def test_an_archive_counts_as_its_own_version_whatever_runs(
    packed: str, runs: str | None, programs: Path, install_as: Try, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        assert (install_as(packed, packed) / INSTALL_MARK).exists()
        for declared in set(VERSIONS) - {packed}:
            with pytest.raises(HostError, match=f"does not say '{declared}' but .*client version is {packed}'; fix"):
                install_as(packed, declared)

    if runs is None:
        check()
        return
    lay_out(programs, runs, tmp_path / "running")
    with running(tmp_path / "running", tmp_path / "home") as server:
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.port}")  # as a shell of the user's may have it
        check()


def test_a_server_that_is_frozen_does_not_hang_the_install(
    programs: Path, install_as: Try, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(programs, "0.32.14", tmp_path / "running")
    with running(tmp_path / "running", tmp_path / "home") as server:
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.port}")
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            assert (install_as("0.32.15", "0.32.15") / INSTALL_MARK).exists()
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
