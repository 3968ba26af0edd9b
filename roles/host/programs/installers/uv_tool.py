"""uv on the host: installed by pip from a hash-locked wheel into its own folder, not by a script from the web."""

from __future__ import annotations

import os
from pathlib import Path

from roles.contract.requests import MakeInstall
from roles.host.programs.files import make_folder, remove_tree, write_atomic
from roles.host.programs.installers.handover import give, take
from roles.host.programs.processes import run


def ensure_uv(request: MakeInstall) -> Path:
    """The folder of an environment with pip and uv, created if missing.

    The request: `uv`, with its `folder` and its hash-locked `requirements`, and the build user.
    """
    tool, builder = request.uv, request.build_user
    folder = Path(tool.folder)
    # We must own it: what is downloaded and unpacked there cannot mark itself as complete.
    if (folder / ".complete").exists() and folder.stat().st_uid == os.geteuid():
        return folder
    remove_tree(folder)
    make_folder(folder)
    requirements = folder / "requirements.txt"
    write_atomic(requirements, tool.requirements.encode(), 0o644)
    give(builder, folder)
    making = "making an environment for uv (is python3-venv installed?)"
    run(["/usr/bin/python3", "-I", "-S", "-m", "venv", str(folder)], what=making, user=builder, writable=[folder])
    run(
        [
            f"{folder}/bin/python", "-I", "-m", "pip", "install", "--quiet", "--require-hashes", "--no-cache-dir",
            "--only-binary", ":all:", "-r", str(requirements),
        ],
        what="installing uv",
        user=builder,
        writable=[folder],
        network=True,
    )  # fmt: skip
    take(builder, folder, "uv")
    write_atomic(folder / ".complete", b"", 0o644)
    return folder


def uv_environment(request: MakeInstall) -> dict[str, str]:
    """Variables for uv: its cache, the host's own certificates, and only the host's Python."""
    return {
        "UV_CACHE_DIR": f"{request.cache}/uv",
        "UV_SYSTEM_CERTS": "1",
        "UV_NATIVE_TLS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        # The cache may be on another file system: hard links are impossible there, and uv would warn.
        "UV_LINK_MODE": "copy",
    }
