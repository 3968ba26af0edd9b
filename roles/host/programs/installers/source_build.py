"""Building from source with CMake and ccache, as a user without other rights."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from roles.contract.recipes import ArchiveSource, SdistSource, SourceBuildRecipe
from roles.contract.requests import MakeInstall
from roles.host.programs.below import PART, Folder, shown
from roles.host.programs.console import HostError, Progress, say
from roles.host.programs.files import make_folder, make_own_folder, remove_tree, write_atomic
from roles.host.programs.installers.download import Digest, download
from roles.host.programs.installers.ggml import check_backend
from roles.host.programs.installers.handover import give, take
from roles.host.programs.installers.toolkits import find_toolkit
from roles.host.programs.installers.unpack import unpack
from roles.host.programs.installers.uv_tool import ensure_uv, uv_environment
from roles.host.programs.processes import LONGEST_TRY, run

_MEMORY_PER_JOB = 1500 << 20
"""Bytes. A C++ compiler that runs out of memory is killed, and the build with it."""


def build_from_source(recipe: SourceBuildRecipe, request: MakeInstall, folder: Path) -> None:
    """Build in a tree that outlives a killed run, then copy the wanted part into `folder`."""
    title, builder = request.title, request.build_user
    toolkit = find_toolkit(recipe.toolkit, title, recipe.toolkit_folder)
    builds, ccache = Path(request.cache, "build"), Path(request.cache, "ccache")
    make_own_folder(builds)
    tree, output = builds / folder.name, builds / folder.name / "output"
    make_own_folder(tree)
    source = _unpacked_source(recipe.source, request, tree)
    make_folder(output)
    give(builder, output)
    writable = [tree / "source", output, ccache]
    environment = {
        "CCACHE_DIR": str(ccache),
        "CCACHE_BASEDIR": str(tree),
        "CCACHE_NOHASHDIR": "1",
        **{f"CMAKE_{language}_COMPILER_LAUNCHER": "ccache" for language in ("C", "CXX", "CUDA", "HIP")},
        **toolkit.environment,
        # The linker too looks for the driver's library.
        **toolkit.without_driver,
    }
    wanted = dict(recipe.cmake_options)
    if toolkit.libraries:
        wanted["CMAKE_INSTALL_RPATH"] += f";{toolkit.libraries}"
    options = [f"-D{name}={value}" for name, value in wanted.items()]
    run(
        ["cmake", "-G", "Ninja", "-S", str(source), "-B", str(output), *options],
        what=f"{title}: configuring",
        user=builder,
        writable=writable,
        environment=environment,
    )
    jobs = _jobs()
    say(f"{title}: compiling with {jobs} jobs, which takes minutes without a warm ccache")
    with Progress(title) as progress:
        progress.note("starting")
        run(
            ["nice", "cmake", "--build", str(output), "--parallel", str(jobs), "--target", *recipe.targets],
            what=f"{title}: compiling",
            user=builder,
            writable=writable,
            environment=environment,
            on_line=lambda line: _note_step(progress, line),
        )
    give(builder, folder)
    made = [str(output / recipe.output), str(folder / recipe.output)]
    copy = ["cp", "--archive", "--no-target-directory", *made]
    run(copy, what=f"{title}: copying", user=builder, writable=[folder])
    take(builder, folder, title)
    for target in recipe.targets:
        program = folder / recipe.output / target
        run(
            [str(program), "--version"],
            what=f"{title}: a first try of {target}",
            user=builder,
            devices=recipe.backend is not None,
            environment=toolkit.without_driver,
            longest=LONGEST_TRY,
        )
    check_backend(recipe.backend, folder, title, builder, toolkit.without_driver)
    remove_tree(tree)


def _note_step(progress: Progress, line: str) -> None:
    """Ninja's own count of its steps."""
    if match := re.match(r"\[(\d+)/(\d+)\]", line):
        progress.note(f"step {match[1]} of {match[2]}")


def _jobs() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(os.cpu_count() or 1, memory // _MEMORY_PER_JOB))


def _unpacked_source(source: ArchiveSource | SdistSource, request: MakeInstall, tree: Path) -> Path:
    """The source tree below `tree`, unpacked once; an incomplete one is unpacked again."""
    title, builder = request.title, request.build_user
    top = tree / "source"
    mark = tree / ".unpacked"
    if not mark.exists():
        archive = _archive(source, request)
        remove_tree(top)
        make_folder(top)
        give(builder, top)
        say(f"{title}: unpacking")
        unpack(archive, top, strip=1, what=f"{title}: unpacking", user=builder)
        write_atomic(mark, b"", 0o644)
    unpacked = top / (source.subdirectory or ".")
    if not (unpacked / "CMakeLists.txt").exists():
        raise HostError(
            f"{title}: no CMakeLists.txt in `{source.subdirectory or '.'}` of the source; fix `subdirectory`"
        )
    return unpacked


def _archive(source: ArchiveSource | SdistSource, request: MakeInstall) -> Path:
    """The source's archive in one of our folders, its digest checked."""
    title, cache = request.title, Path(request.cache, "downloads")
    make_own_folder(cache)
    name, digest = f"{source.sha256}.tar.gz", Digest("sha256", source.sha256)
    with Folder(cache) as downloads:
        if downloads.size(name) is None:
            if isinstance(source, ArchiveSource):
                download(source.url, digest, downloads, name, f"{title}: source")
            else:
                _download_sdist(source, request, downloads, name, digest)
    return cache / name


def _download_sdist(source: SdistSource, request: MakeInstall, downloads: Folder, name: str, digest: Digest) -> None:
    """Download with pip. It resumes nothing, but the archive is small. To read the name inside, pip may run the
    package's own build backend: so it runs as the build user, in a folder of that user. The archive is copied from
    there."""
    title, builder = request.title, request.build_user
    pip = ensure_uv(request) / "bin" / "pip"
    box = downloads.path / f"{source.sha256}.box"
    remove_tree(box)
    make_folder(box)
    requirements = box / "requirements.txt"
    write_atomic(requirements, f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n".encode(), 0o644)
    give(builder, box)
    say(f"{title}: fetching its source")
    with Progress(f"{title}: source"):
        run(
            [
                str(pip), "download", "--quiet", "--no-deps", "--no-binary", source.package, "--require-hashes",
                "--no-cache-dir", "--dest", str(box), "-r", str(requirements),
            ],
            what=f"{title}: fetching its source",
            user=builder,
            writable=[box],
            network=True,
            environment=uv_environment(request),
        )  # fmt: skip
    take(builder, box, title)
    made_there = sorted(path.name for path in box.glob("*.tar.gz"))
    if len(made_there) != 1:
        raise HostError(f"{title}: pip fetched {shown(made_there)} instead of one .tar.gz: take another `source`")
    downloads.remove(name + PART)
    with Folder(box) as folder, folder.read(made_there[0]) as made, downloads.append(name + PART) as kept:
        shutil.copyfileobj(made, kept)
    with downloads.read(name + PART) as copied:
        actual = digest.of(copied)
    if actual != digest.hexadecimal:
        raise HostError(f"{title}: what pip fetched has the digest {actual}, not {digest.hexadecimal} as declared")
    downloads.rename(name + PART, name)
    remove_tree(box)
