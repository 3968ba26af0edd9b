"""Our own sources, as they are shipped to hosts."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources.abc import Traversable


def sources_of(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    """Path → text of the programs, templates and styles in a folder and below it."""
    for source in sorted(folder.iterdir(), key=lambda source: source.name):
        if source.is_dir():
            yield from sources_of(source, f"{path}/{source.name}")
        elif source.name.endswith((".py", ".j2", ".css")):
            yield f"{path}/{source.name}", source.read_text(encoding="utf-8")
