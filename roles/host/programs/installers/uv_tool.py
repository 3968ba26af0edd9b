"""uv on the host: installed by pip from a hash-locked wheel into a folder of its own, by no script off the web."""

from __future__ import annotations

import os
from pathlib import Path

from roles.contract.requests import MakeInstall
from roles.host.programs.files import make_folder, remove_tree, write_atomic
from roles.host.programs.installers.handover import give, take
from roles.host.programs.processes import run


def ensure_uv(request: MakeInstall) -> Path:
    """The folder of an environment that holds pip and uv; made when it is not there.

    The request: `uv`, with the `folder` to make it in and its hash-locked `requirements`, and who builds.
    """
    tool, builder = request.uv, request.build_user
    folder = Path(tool.folder)
    # Owned by us: what is fetched and unpacked there cannot count itself as complete.
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
    """Variables for uv: its cache, the host's own certificates, and no Python but the host's."""
    return {
        "UV_CACHE_DIR": f"{request.cache}/uv",
        "UV_SYSTEM_CERTS": "1",
        "UV_NATIVE_TLS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        # The cache may lie on another file system, where a hard link is impossible and uv would warn of it.
        "UV_LINK_MODE": "copy",
    }
