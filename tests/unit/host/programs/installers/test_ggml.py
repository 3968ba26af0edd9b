"""The question which backends a llama.cpp has. What real libraries answer is in `tests/lab/test_llama_cpp.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from roles.contract.recipes import BackendCheck
from roles.host.programs.console import HostError
from roles.host.programs.installers.ggml import check_backend

WANTED = BackendCheck(name="CUDA", libraries="bin")


def test_an_install_that_wants_no_backend_is_not_asked(tmp_path: Path) -> None:
    check_backend(None, tmp_path, "llama.cpp", None)


def test_an_install_without_shared_libraries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"there is no libggml\.so in its `bin`, .* fix `subdirectory`"):
        check_backend(WANTED, tmp_path, "llama.cpp", None)


def test_a_library_that_can_not_be_loaded_is_told_in_the_loaders_words(tmp_path: Path) -> None:
    libraries = tmp_path / "bin"
    libraries.mkdir()
    (libraries / "libggml.so").write_text("no library")
    (libraries / "libggml-cuda.so").write_text("no library either")
    with pytest.raises(HostError) as error:
        check_backend(WANTED, tmp_path, "llama.cpp", None)
    message = str(error.value)
    assert "it is to compute on CUDA, and has only nothing" in message
    assert "libggml-cuda.so: file too short" in message
    assert "install that on the host, or give it as `runtime` of a release" in message
