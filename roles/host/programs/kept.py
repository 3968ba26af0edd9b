"""The generations that a host keeps, and what became of them.

Stands alone (imports no other program), as its text is the command of a fact, which changes nothing and prints one JSON
object.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ACTIVATION = "activation.json"
"""A generation without it can not be activated."""

_MARK = ".install.json"


def main(request: dict[str, Any]) -> None:
    config = Path(request["config"])
    texts: dict[str, str] = {}
    print(
        json.dumps(
            {
                "active": config.readlink().name if config.is_symlink() else None,
                "generations": [_contents(folder, texts) for folder in generations(request["generations"])],
                "texts": texts,
                "events": events(request["state"]),
            }
        )
    )


def generations(folder: str) -> list[Path]:
    """The folders of those that are kept and can be activated."""
    with contextlib.suppress(OSError):
        return sorted(path.parent for path in Path(folder).glob(f"*/{ACTIVATION}") if not path.parent.is_symlink())
    return []


def history_file(state: str) -> Path:
    return Path(state, "history.jsonl")


def events(state: str) -> list[dict[str, Any]]:
    """What happened to generations here, oldest first; see `record.py`."""
    with contextlib.suppress(OSError, ValueError):
        return [json.loads(line) for line in history_file(state).read_text().splitlines()]
    return []


def passed_proofs(state: str) -> list[str]:
    """The generations that passed their proof, a name for each pass, oldest first."""
    return [event["generation"] for event in events(state) if event.get("verdict") == "pass"]


def missing_installs(generation: Path) -> list[str]:
    """The installs of a generation that are not there any more: name and folder of each."""
    return [
        f"{link.name} ({link.readlink()})"
        for link in sorted(generation.glob("install/*"))
        if link.is_symlink() and not (link / _MARK).is_file()
    ]


def _contents(generation: Path, texts: dict[str, str]) -> dict[str, Any]:
    """What a generation holds: digests of its files, titles of its installs. The texts that anybody may read, too."""
    files = {}
    for parent, _, names in os.walk(generation):
        for path in (Path(parent, name) for name in names):
            if path.is_symlink():
                continue
            content, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
            digest = hashlib.sha256(content).hexdigest()
            files[str(path.relative_to(generation))] = digest
            if mode == 0o644:
                texts[digest] = content.decode(errors="replace")
    return {
        "name": generation.name,
        "written": datetime.fromtimestamp(generation.stat().st_mtime, UTC).isoformat(timespec="seconds"),
        "files": files,
        "installs": {link.name: [str(link.readlink()), _title(link)] for link in generation.glob("install/*")},
        "missing_installs": missing_installs(generation),
    }


def _title(install: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        return str(json.loads((install / _MARK).read_text())["title"])
    return install.name


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
