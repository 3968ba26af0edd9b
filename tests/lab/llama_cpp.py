"""A build of llama.cpp for what tests run that is none of ours: made in a lab host, by the project's own program."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from roles.contract.requests import Request, UvTool
from roles.host.program import _BOOTSTRAP, payload
from roles.host.requests import install_request, system_request
from roles.llama_cpp import LlamaCppBuild
from roles.llama_cpp.installs import native_installs, packages
from roles.options import SystemScope
from roles.plan import Install, ResolvedInstall, layout_of, read_lock
from tests.lab.inventory import LLAMA_CPP
from tests.labhost import Lab, LabHost
from tests.labhost.image import say
from tests.labhost.paths import locked

RELEASE = "bookworm"
"""The oldest release of the lab: what is built there runs on the newer ones too."""


def llama_cpp_bin(lab: Lab, build: LlamaCppBuild) -> Path:
    """The folder with `llama-server` and its libraries; built when it is not there, which takes a minute or, with an
    empty ccache, six."""
    *_, install = native_installs(build)
    name = hashlib.sha256(json.dumps(install.recipe.document(), sort_keys=True).encode()).hexdigest()[:16]
    folder = lab.folders.llama_cpp / name
    with locked(lab.folders.root / "llama-cpp.lock"):
        if not folder.exists():
            say("building llama.cpp for the tests (once; minutes with an empty ccache)")
            lab.folders.llama_cpp.mkdir(parents=True, exist_ok=True)
            host = lab.create(f"builder-{os.getpid()}", release=RELEASE, owner=os.getpid())
            try:
                _build(host, install, packages(build, None))
                _fetch(host, folder)
            finally:
                host.destroy()
    return folder / "bin"


def llama_cpp_release(lab: Lab) -> tuple[str, str]:
    """Address and digest of an archive with that build, as its makers pack theirs."""
    programs = llama_cpp_bin(lab, LLAMA_CPP)
    archive = lab.folders.files / "llama-cpp" / f"{programs.parent.name}-bin-lab-x64.tar.gz"
    with locked(lab.folders.root / "llama-cpp.lock"):
        if not archive.exists():
            archive.parent.mkdir(parents=True, exist_ok=True)
            beside = archive.with_name(f".{archive.name}")
            pack = ["tar", "--create", "--gzip", "--transform", r"s,^\.,llama-b1,", "--file", str(beside)]
            subprocess.run([*pack, "--directory", str(programs), "."], check=True, timeout=120)
            beside.rename(archive)
    url = f"{lab.mirror_url}/{archive.relative_to(lab.folders.files)}"
    return url, hashlib.sha256(archive.read_bytes()).hexdigest()


def _build(host: LabHost, install: Install, packages: Sequence[str]) -> None:
    layout = layout_of(SystemScope())
    _run(host, system_request(layout, packages))
    uv = UvTool(folder=f"{layout.installs}/uv/lab", requirements=read_lock("host", "uv"))
    resolved = ResolvedInstall(install, digest="lab", folder="/opt/ai-backend/lab", recipe=install.recipe)
    _run(host, install_request(layout, resolved, uv))


def _run(host: LabHost, request: Request) -> None:
    host.run(f"python3 -c {shlex.quote(_BOOTSTRAP)} {request.program}", input=payload(request), timeout=1800)


def _fetch(host: LabHost, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as beside:
        archive = Path(beside, "bin.tar")
        with archive.open("wb") as file:
            # With the one library that a host without a compiler lacks: releases carry theirs too.
            copy = "cp -L /usr/lib/x86_64-linux-gnu/libgomp.so.1 /opt/ai-backend/lab/bin/"
            command = host.ssh_command("--", f"{copy} && tar -cf - -C /opt/ai-backend/lab bin")
            subprocess.run(command, stdout=file, check=True)
        made = Path(beside, "made")
        with tarfile.open(archive) as members:
            if hasattr(tarfile, "data_filter"):
                members.extractall(made, filter="data")
            else:  # Debian 12's Python 3.11.2
                members.extractall(made)
        made.rename(folder)
