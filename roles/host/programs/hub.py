"""Files of a model repository on a Hugging Face Hub or mirror: pinned to a commit, resumed, each checked by its digest.

Source of the addresses: what `hf download` of huggingface_hub 1.33 asks for.
"""

from __future__ import annotations

import fnmatch
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roles.host.programs.console import HostError, megabytes, say
from roles.host.programs.download import Digest, check_space, download
from roles.host.programs.files import make_folder, write_atomic

REVISION_FILE = ".revision.json"
"""Which commit the files are of: what a branch or tag led to when they were fetched."""
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class _File:
    path: str
    size: int
    digest: Digest


class Hub:
    """One repository on a Hub, as somebody with that token sees it; none = anybody."""

    def __init__(self, endpoint: str, repository: str, token: str | None) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._repository = repository
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def commit(self, revision: str) -> str:
        """The 40-digit commit that a branch, tag or commit leads to."""
        return str(self._ask(f"revision/{urllib.parse.quote(revision, safe='')}", revision)["sha"])

    def files(self, commit: str) -> list[_File]:
        listed = self._ask(f"tree/{commit}?recursive=true", commit)
        return [_listed_file(entry) for entry in listed if entry["type"] == "file"]

    def address(self, commit: str, path: str) -> str:
        return f"{self._endpoint}/{self._repository}/resolve/{commit}/{urllib.parse.quote(path)}"

    def _ask(self, what: str, revision: str) -> Any:
        url = f"{self._endpoint}/api/models/{self._repository}/{what}"
        request = urllib.request.Request(url)
        for name, value in self.headers.items():
            request.add_unredirected_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise HostError(self._refusal(error.code, revision)) from None
        except (OSError, ValueError) as error:
            raise HostError(f"{self._endpoint} can not be asked for {self._repository}: {error}; run again") from None

    def _refusal(self, status: int, revision: str) -> str:
        name = f"{self._repository} on {self._endpoint}"
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


def _listed_file(entry: dict[str, Any]) -> _File:
    large = entry.get("lfs")
    digest = Digest("sha256", large["oid"]) if large else Digest("git-blob", entry["oid"])
    return _File(entry["path"], int(entry["size"]), digest)


def fetch_from_hub(recipe: dict[str, Any], folder: Path, title: str, token: str | None) -> dict[str, Digest]:
    """Fetch the wanted files of one commit into `folder`. What is there and right is not fetched again.

    Args:
        recipe: endpoint, repository, revision, `files` (patterns as of a shell), and `sha256` of the only file or none.

    Returns:
        Path below `folder` → what the file holds.
    """
    hub = Hub(recipe["endpoint"], recipe["repository"], token)
    commit = hub.commit(recipe["revision"])
    wanted = [
        file
        for file in hub.files(commit)
        if any(fnmatch.fnmatchcase(file.path, pattern) for pattern in recipe["files"])
    ]
    if not wanted:
        patterns = ", ".join(recipe["files"])
        raise HostError(f"{title}: {recipe['repository']} has no file that matches {patterns} at {commit}")
    if recipe["sha256"]:
        wanted = [_File(file.path, file.size, Digest("sha256", recipe["sha256"])) for file in wanted]
    if commit != recipe["revision"]:
        say(f"{title}: {recipe['revision']} is commit {commit}")
    say(f"{title}: {len(wanted)} files, {megabytes(sum(file.size for file in wanted))}")
    check_space(folder, sum(file.size for file in wanted if not (folder / file.path).exists()), title)
    for file in wanted:
        target = folder / file.path
        make_folder(target.parent)
        if not target.exists():
            download(hub.address(commit, file.path), file.digest, target, f"{title}: {file.path}", hub.headers)
        target.chmod(0o644)
    record = {"repository": recipe["repository"], "revision": recipe["revision"], "commit": commit}
    write_atomic(folder / REVISION_FILE, json.dumps(record).encode(), 0o644)
    return {file.path: file.digest for file in wanted}
