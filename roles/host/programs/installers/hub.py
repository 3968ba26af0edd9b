"""Files of a model repository on a Hugging Face Hub or mirror: pinned to a commit, resumed, each digest checked.

Source of the addresses: the requests of `hf download` of huggingface_hub 1.33.
"""

from __future__ import annotations

import fnmatch
import json
import re
import urllib.error
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

from roles.contract.gguf import PART_NAME
from roles.contract.recipes import HubModelRecipe
from roles.host.programs.below import PART, REVISION_FILE, Folder, Listing, one_line, parts_of, shown
from roles.host.programs.console import HostError, megabytes, say
from roles.host.programs.files import write_atomic
from roles.host.programs.installers.download import Copies, Digest, check_space, download, open_url, remedy
from roles.host.programs.installers.weights import has_weights, listed

_TIMEOUT_SECONDS = 30
_LONGEST_ANSWER = 64 << 20
_MOST_FILES = 100_000
_MOST_BYTES = 1 << 50


@dataclass(frozen=True)
class HubEntry:
    """A file as a Hub lists it. Its path is its `parts`, joined."""

    parts: tuple[str, ...]
    size: int
    digest: Digest

    @property
    def path(self) -> str:
        return "/".join(self.parts)


class Hub:
    """One repository on a Hub, as that token sees it; none = as the public sees it."""

    def __init__(self, endpoint: str, repository: str, token: str | None) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._repository = repository
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def commit(self, revision: str) -> str:
        """The 40-digit commit that a branch, tag or commit leads to."""
        found = self._ask(f"revision/{urllib.parse.quote(revision, safe='')}", revision)
        commit = found.get("sha") if isinstance(found, dict) else None
        if not isinstance(commit, str) or not re.fullmatch("[0-9a-f]{40}", commit):
            raise self._odd(f"it gives revision {revision} the commit {shown(commit)}")
        if re.fullmatch("[0-9a-f]{40}", revision) and commit != revision:
            raise self._odd(f"for commit {revision} it gives {commit}")
        return commit

    def listed(self, commit: str) -> list[tuple[str, dict[str, Any]]]:
        """Path of each file of a commit, and what it says of it."""
        answer = self._ask(f"tree/{commit}?recursive=true", commit)
        if not isinstance(answer, list) or len(answer) > _MOST_FILES:
            raise self._odd("its list of files is none, or too long")
        found = []
        for entry in answer:
            if not isinstance(entry, dict) or not isinstance(path := entry.get("path"), str):
                raise self._odd(f"its list of files has {shown(entry)}")
            if entry.get("type") == "file":
                found.append((path, entry))
        return found

    def files(self, there: Sequence[tuple[str, dict[str, Any]]], patterns: Sequence[str]) -> list[HubEntry]:
        """The files whose paths match one of the patterns."""
        names, found = Listing(self._name), []
        for path, entry in there:
            if any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
                names.add(parts := parts_of(path, self._name))
                if path.endswith(PART):
                    raise self._odd(f"{shown(path)} is a name for what has not come yet")
                found.append(self._file(parts, entry))
        return found

    def _file(self, parts: tuple[str, ...], entry: dict[str, Any]) -> HubEntry:
        large, size = entry.get("lfs"), entry.get("size")
        oid = large.get("oid") if isinstance(large, dict) else entry.get("oid")
        if not isinstance(oid, str) or not re.fullmatch("[0-9a-f]{64}" if large else "[0-9a-f]{40}", oid):
            raise self._odd(f"it gives {shown('/'.join(parts))} the digest {shown(oid)}")
        if type(size) is not int or not 0 <= size <= _MOST_BYTES:
            raise self._odd(f"it gives {shown('/'.join(parts))} the size {shown(size)}")
        return HubEntry(parts, size, Digest("sha256" if large else "git-blob", oid))

    @property
    def _name(self) -> str:
        return f"{self._repository} on {self._endpoint}"

    def _odd(self, what: str) -> HostError:
        return HostError(f"{self._name} answers as no Hub does: {what}. Nothing was fetched; fix `endpoint`")

    def address(self, commit: str, path: str) -> str:
        return f"{self._endpoint}/{self._repository}/resolve/{commit}/{urllib.parse.quote(path)}"

    def _ask(self, what: str, revision: str) -> Any:
        url = f"{self._endpoint}/api/models/{self._repository}/{what}"
        try:
            with open_url(url, self.headers, timeout=_TIMEOUT_SECONDS) as answer:
                text = answer.read(_LONGEST_ANSWER + 1)
        except urllib.error.HTTPError as error:
            raise HostError(remedy(str(error.code)) or self._refusal(error.code, revision)) from None
        except (OSError, HTTPException, ValueError) as error:
            cause = one_line(error) or type(error).__name__
            advice = remedy(cause) or "run again"
            raise HostError(f"{self._endpoint} cannot be asked for {self._repository}: {cause}; {advice}") from None
        if len(text) > _LONGEST_ANSWER:
            raise self._odd(f"more than {megabytes(_LONGEST_ANSWER)} for a list of files")
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise self._odd(f"{shown(text[:60].decode(errors='replace'))} is no JSON") from None

    def _refusal(self, status: int, revision: str) -> str:
        name = self._name
        if status in (401, 403):
            if self.headers:
                return f"{name}: the token may not read it ({status}). Accept its licence on its page with that account"
            return (
                f"{name} is gated, private, or not there ({status}). Accept its licence on its page, and give the "
                'model a `token`, e.g. token=EnvSecret("HF_TOKEN")'
            )
        if status == 404:
            return f"{name} has no revision {revision}, or there is no such repository"
        return f"{name} answers {status}; run again later"


def fetch_from_hub(
    recipe: HubModelRecipe, folder: Path, title: str, token: str | None, copies: Copies | None = None
) -> dict[str, Digest]:
    """Download the wanted files of one commit into `folder`. Files that are already right are not fetched again.

    Args:
        copies: what its server makes of it.

    Returns:
        Path below `folder` → the file's digest.
    """
    hub = Hub(recipe.endpoint, recipe.repository, token)
    commit = hub.commit(recipe.revision)
    wanted = wanted_files(hub, recipe, commit, title)
    paths = {file.path for file in wanted}
    if gone := [path for path in recipe.files if len(recipe.files) > 1 and _is_part(path) and path not in paths]:
        raise HostError(f"{title}: {recipe.repository} has no {gone[0]} at {commit}, and all parts are needed")
    if recipe.digests is not None:
        wanted = [_as_locked(file, recipe.digests, title) for file in wanted]
    if recipe.sha256:
        wanted = [replace(file, digest=Digest("sha256", recipe.sha256)) for file in wanted]
    if commit != recipe.revision:
        say(f"{title}: {recipe.revision} is commit {commit}")
    say(f"{title}: {len(wanted)} files, {megabytes(sum(file.size for file in wanted))}")
    with Folder(folder) as top:
        missing = [file for file in wanted if _size(top, file) is None]
        check_space(folder, sum(file.size for file in missing), title, copies=copies)
        for file in missing:
            url, what = hub.address(commit, file.path), f"{title}: {file.path}"
            with top.below(file.parts[:-1], make=True) as parent:
                download(url, file.digest, parent, file.parts[-1], what, hub.headers, file.size)
    record = {"repository": recipe.repository, "revision": recipe.revision, "commit": commit}
    write_atomic(folder / REVISION_FILE, json.dumps(record).encode(), 0o644)
    return {file.path: file.digest for file in wanted}


def _as_locked(file: HubEntry, digests: Mapping[str, str], title: str) -> HubEntry:
    if file.path not in digests:
        raise HostError(
            f"{title}: the lock does not have {shown(file.path)}, which the Hub now shows for that commit; make it "
            "anew with deploys/lock.py"
        )
    return replace(file, digest=Digest("sha256", digests[file.path]))


def wanted_files(hub: Hub, recipe: HubModelRecipe, commit: str, title: str) -> list[HubEntry]:
    """The files that match the patterns.

    Raises:
        HostError: none does, or none of them has weights.
    """
    there = hub.listed(commit)
    wanted = hub.files(there, recipe.files)
    lacks = recipe.instead is not None and not has_weights(file.path for file in wanted)
    if lacks:
        wanted += [file for file in hub.files(there, recipe.instead or ()) if has_weights([file.path])]
    patterns, where = ", ".join(recipe.files), f"at {commit} (it has {listed([path for path, _ in there])})"
    if not wanted:
        raise HostError(f"{title}: {recipe.repository} has no file that matches {patterns} {where}: fix `files`")
    if lacks and not has_weights(file.path for file in wanted):
        raise HostError(f"{title}: {patterns} finds no weights in {recipe.repository} {where}: fix `files`")
    return wanted


def _is_part(path: str) -> bool:
    """Whether it is the name of one of several files that are one model; patterns are not."""
    return PART_NAME.fullmatch(path) is not None and not set(path) & set("*?[")


def _size(top: Folder, file: HubEntry) -> int | None:
    with top.below(file.parts[:-1], make=True) as parent:
        return parent.size(file.parts[-1])
