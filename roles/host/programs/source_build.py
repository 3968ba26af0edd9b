"""Building from source with CMake and ccache, as a user who may do nothing else."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from roles.host.programs.console import HostError, Progress, say
from roles.host.programs.download import Digest, download
from roles.host.programs.files import make_folder, remove_tree, write_atomic
from roles.host.programs.ggml import check_backend
from roles.host.programs.processes import give_to, give_tree_to, run
from roles.host.programs.toolkits import find_toolkit
from roles.host.programs.uv_tool import ensure_uv, uv_environment

_MEMORY_PER_JOB = 1500 << 20
"""Bytes. A C++ compiler that runs out of memory is killed, and the build with it."""


def build_from_source(request: dict[str, Any], folder: Path) -> None:
    """Build in a tree that outlives a killed run, then copy the wanted part into `folder`."""
    recipe, title, builder = request["recipe"], request["title"], request["build_user"]
    toolkit = find_toolkit(recipe.get("toolkit"), title)
    tree = Path(request["cache"], "build", folder.name)
    make_folder(tree)
    give_to(builder, tree)
    source = _unpacked_source(request, tree)
    environment = {
        "CCACHE_DIR": f"{request['cache']}/ccache",
        "CCACHE_BASEDIR": str(tree),
        "CCACHE_NOHASHDIR": "1",
        **{f"CMAKE_{language}_COMPILER_LAUNCHER": "ccache" for language in ("C", "CXX", "CUDA", "HIP")},
        **toolkit.environment,
    }
    output = tree / "output"
    wanted = dict(recipe["cmake_options"])
    if toolkit.libraries:
        wanted["CMAKE_INSTALL_RPATH"] += f";{toolkit.libraries}"
    options = [f"-D{name}={value}" for name, value in wanted.items()]
    run(
        ["cmake", "-G", "Ninja", "-S", str(source), "-B", str(output), *options],
        what=f"{title}: configuring",
        user=builder,
        environment=environment,
    )
    step = ["starting"]

    def note(line: str) -> None:
        if match := re.match(r"\[(\d+)/(\d+)\]", line):
            step[0] = f"step {match[1]} of {match[2]}"

    jobs = _jobs()
    say(f"{title}: compiling with {jobs} jobs, which takes minutes without a warm ccache")
    with Progress(title, lambda: step[0]):
        run(
            ["nice", "cmake", "--build", str(output), "--parallel", str(jobs), "--target", *recipe["targets"]],
            what=f"{title}: compiling",
            user=builder,
            environment=environment,
            on_line=note,
        )
    made = output / recipe["output"]
    for target in recipe["targets"]:
        run([str(made / target), "--version"], what=f"{title}: a first try of {target}", user=builder)
    run(
        ["cp", "--archive", "--no-target-directory", str(made), str(folder / recipe["output"])],
        what=f"{title}: copying",
    )
    check_backend(recipe, folder, title, builder)
    give_tree_to("root" if builder else None, folder)
    remove_tree(tree)


def _jobs() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(os.cpu_count() or 1, memory // _MEMORY_PER_JOB))


def _unpacked_source(request: dict[str, Any], tree: Path) -> Path:
    """The source tree below `tree`, unpacked once; a half unpacked one is unpacked again."""
    source, title, builder = request["recipe"]["source"], request["title"], request["build_user"]
    top = tree / "source"
    mark = tree / ".unpacked"
    if not mark.exists():
        archive = _archive(request)
        remove_tree(top)
        make_folder(top)
        give_to(builder, top)
        say(f"{title}: unpacking")
        run(
            ["tar", "--extract", "--file", str(archive), "--strip-components", "1", "--no-same-owner", "-C", str(top)],
            what=f"{title}: unpacking",
            user=builder,
        )
        write_atomic(mark, b"", 0o644)
    unpacked = top / (source["subdirectory"] or ".")
    if not (unpacked / "CMakeLists.txt").exists():
        raise HostError(
            f"{title}: no CMakeLists.txt in `{source['subdirectory'] or '.'}` of the source; mend `subdirectory`"
        )
    return unpacked


def _archive(request: dict[str, Any]) -> Path:
    source, title, builder = request["recipe"]["source"], request["title"], request["build_user"]
    downloads = Path(request["cache"], "downloads")
    archive = downloads / f"{source['sha256']}.tar.gz"
    if archive.exists():
        return archive
    if source["type"] == "UrlArchive":
        download(source["url"], Digest("sha256", source["sha256"]), archive, f"{title}: source")
        return archive
    # pip checks the digest, resumes nothing (the archive is small) and, to read the name inside, may run the
    # package's own build backend: thus as the user who builds.
    pip = ensure_uv(request["uv"]) / "bin" / "pip"
    box = downloads / f"{source['sha256']}.part"
    remove_tree(box)
    make_folder(box)
    requirements = box / "requirements.txt"
    write_atomic(
        requirements, f"{source['package']}=={source['version']} --hash=sha256:{source['sha256']}\n".encode(), 0o644
    )
    give_to(builder, box)
    say(f"{title}: fetching its source")
    with Progress(f"{title}: source", lambda: ""):
        run(
            [
                str(pip), "download", "--quiet", "--no-deps", "--no-binary", source["package"], "--require-hashes",
                "--no-cache-dir", "--dest", str(box), "-r", str(requirements),
            ],
            what=f"{title}: fetching its source",
            user=builder,
            environment=uv_environment(request),
        )  # fmt: skip
    (fetched,) = box.glob("*.tar.gz")
    fetched.rename(archive)
    give_tree_to(builder, downloads)
    remove_tree(box)
    return archive
