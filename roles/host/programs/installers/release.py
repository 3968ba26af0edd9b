"""A released program: its archives downloaded by digest, unpacked over each other, and tried."""

from __future__ import annotations

import re
from http.client import HTTPException
from pathlib import Path

from roles.contract.recipes import ReleaseRecipe
from roles.contract.requests import MakeInstall
from roles.host.programs.below import Folder, one_line
from roles.host.programs.console import HostError, Progress, say
from roles.host.programs.files import make_own_folder
from roles.host.programs.installers.download import Digest, download, open_url
from roles.host.programs.installers.ggml import check_backend
from roles.host.programs.installers.handover import give, take
from roles.host.programs.installers.unpack import unpack
from roles.host.programs.processes import LONGEST_TRY, run

DIGEST_LIST = "sha256sum.txt"
"""Name of a release page's list of digests."""
_LONGEST_LIST = 1 << 20
_SHOWN_NAMES = 8


def unpack_release(recipe: ReleaseRecipe, request: MakeInstall, folder: Path) -> None:
    """Unpack as the build user, and run the program once as that user."""
    title, builder = request.title, request.build_user
    cache = Path(request.cache, "downloads")
    make_own_folder(cache)
    give(builder, folder)
    for archive in recipe.archives:
        name = archive.url.rsplit("/", 1)[-1]
        sha256 = archive.sha256 or listed_digest(archive.url, name, title)
        what, into, strip = f"{title}: unpacking {name}", archive.into or ".", archive.strip or 0
        with Folder(cache) as downloads:
            if downloads.size(sha256) is None:
                download(archive.url, Digest("sha256", sha256), downloads, sha256, f"{title}: {name}")
            with Progress(f"{title}: unpacking"):
                unpack(cache / sha256, folder, into=into, strip=strip, what=what, user=builder)
            # Only the unpacked files matter; keeping the archive would waste space.
            downloads.remove(sha256)
    take(builder, folder, title)
    _try(recipe, folder, title, builder)
    check_backend(recipe.backend, folder, title, builder)


def _try(recipe: ReleaseRecipe, folder: Path, title: str, builder: str | None) -> None:
    said: list[str] = []
    program, *arguments = recipe.check
    if not (folder / program).exists():
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:_SHOWN_NAMES]) or "nothing"
        raise HostError(
            f"{title}: it has no {program} (but {there}): say where its programs lie with `subdirectory`, or take "
            "another archive"
        )
    run(
        [str(folder / program), *arguments],
        what=f"{title}: a first try",
        user=builder,
        environment=recipe.check_environment,
        devices=recipe.backend is not None,
        on_line=said.append,
        longest=LONGEST_TRY,
    )
    if not re.search(rf"(?<![\w.+-])v?{re.escape(recipe.says)}(?![\w+-]|\.\w)", "\n".join(said)):
        raise HostError(f"{title}: {program} does not say {recipe.says!r} but {' '.join(said)!r}; fix the version")


def listed_digest(url: str, name: str, title: str) -> str:
    """The digest of a file in the list beside it: lines as `sha256sum` prints them."""
    page = f"{url.rsplit('/', 1)[0]}/{DIGEST_LIST}"
    try:
        with open_url(page, {}, timeout=30) as answer:
            text: str = answer.read(_LONGEST_LIST).decode(errors="replace")
    except (OSError, HTTPException, ValueError) as error:
        raise HostError(
            f"{title}: its list of digests, {page}, cannot be had: {one_line(error)}; give `sha256`"
        ) from None
    for line in text.splitlines():
        digest, _, file = line.partition(" ")
        if file.strip(" *").removeprefix("./") == name and re.fullmatch("[0-9a-f]{64}", digest):
            say(f"{title}: {page} gives {name} the digest {digest}; pin it with `sha256`")
            return digest
    raise HostError(f"{title}: {page} does not name {name}; give `sha256`, or fix the version")
