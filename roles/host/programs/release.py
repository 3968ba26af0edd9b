"""A released program: its archives fetched by digest, unpacked over each other, and tried."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from roles.host.programs.console import HostError, Progress, say
from roles.host.programs.download import Digest, download
from roles.host.programs.files import make_folder
from roles.host.programs.ggml import check_backend
from roles.host.programs.processes import give_to, give_tree_to, run

DIGEST_LIST = "sha256sum.txt"
"""What a release page calls the list of its files' digests."""
_LONGEST_LIST = 1 << 20
_SHOWN_NAMES = 8


def unpack_release(request: dict[str, Any], folder: Path) -> None:
    """Unpack as the user who builds, and run the program as that user once.

    The recipe: `archives`, each with `url` and `sha256` (none = as the list beside it says), and where they are not
    unpacked as they are, with `strip`, how many leading folders of its paths are dropped, and `into`, the folder below;
    `check`, a command below the folder, and `says`, words that it must print; `backend`, see `check_backend`.
    """
    recipe, title, builder = request["recipe"], request["title"], request["build_user"]
    downloads = Path(request["cache"], "downloads")
    make_folder(downloads)
    give_to(builder, folder)
    for archive in recipe["archives"]:
        url = archive["url"]
        name = url.rsplit("/", 1)[-1]
        sha256: str = archive["sha256"] or _listed_digest(url, name, title)
        fetched = downloads / f"{sha256}-{name}"
        if not fetched.exists():
            download(url, Digest("sha256", sha256), fetched, f"{title}: {name}")
        fetched.chmod(0o644)
        packing = ["--zstd"] if name.endswith(".zst") else []
        target = folder / archive.get("into", ".")
        make_folder(target)
        give_to(builder, target)
        with Progress(f"{title}: unpacking", lambda: ""):
            run(
                [
                    "tar", "--extract", *packing, "--file", str(fetched), "--no-same-owner",
                    "--strip-components", str(archive.get("strip", 0)), "-C", str(target),
                ],
                what=f"{title}: unpacking {name}",
                user=builder,
            )  # fmt: skip
        # The unpacked files are what counts; the archive would stay for nothing.
        fetched.unlink()
    _try(recipe, folder, title, builder)
    check_backend(recipe, folder, title, builder)
    give_tree_to("root" if builder else None, folder)


def _try(recipe: dict[str, Any], folder: Path, title: str, builder: str | None) -> None:
    said: list[str] = []
    program, *arguments = recipe["check"]
    if not (folder / program).exists():
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:_SHOWN_NAMES]) or "nothing"
        raise HostError(
            f"{title}: it holds no {program} (but {there}): say where its programs lie with `subdirectory`, or take "
            "another archive"
        )
    run([str(folder / program), *arguments], what=f"{title}: a first try", user=builder, on_line=said.append)
    if recipe["says"] not in "\n".join(said):
        raise HostError(f"{title}: {program} does not say {recipe['says']!r} but {' '.join(said)!r}; mend the version")


def _listed_digest(url: str, name: str, title: str) -> str:
    """The digest of a file by the list beside it: lines as `sha256sum` prints them."""
    page = f"{url.rsplit('/', 1)[0]}/{DIGEST_LIST}"
    try:
        with urllib.request.urlopen(page, timeout=30) as answer:
            text: str = answer.read(_LONGEST_LIST).decode(errors="replace")
    except (urllib.error.URLError, OSError) as error:
        raise HostError(f"{title}: its list of digests, {page}, can not be had: {error}; give `sha256`") from None
    for line in text.splitlines():
        digest, _, file = line.partition(" ")
        if file.strip(" *").removeprefix("./") == name and len(digest) == 64:
            say(f"{title}: {page} gives {name} the digest {digest}; pin it with `sha256`")
            return digest
    raise HostError(f"{title}: {page} does not name {name}; give `sha256`, or mend the version")
