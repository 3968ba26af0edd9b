"""The lock's file: YAML with one order and one form, so that a diff shows what moved and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from roles.host.programs.files import write_atomic
from roles.lock.entries import VERSION, LockContent

_WIDTH = 120
_MODE = 0o644
_LONGEST = 64 << 20
_HEAD = """# What the inventory beside it refers to, exactly. Written by
#     python deploys/lock.py {inventory}
# and obeyed by every deploy. Keep it with the inventory; do not edit it.
"""


class LockError(Exception):
    """A lock cannot be read, made or obeyed: the message names what, where and how to fix it."""


def lock_file(inventory: Path) -> Path:
    """The file beside an inventory that is its lock."""
    return inventory.with_suffix(".lock")


def read_lock_file(path: Path) -> LockContent | None:
    """The lock in a file; none = there is no such file.

    Raises:
        LockError: it is damaged, or of another version of this project.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LockError(f"{path} cannot be read: {error.strerror}; make it readable") from None
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise _damaged(path, f"it is no YAML{where}") from None
    version = data.get("version") if isinstance(data, dict) else None
    if type(version) is int and version > VERSION:
        raise LockError(
            f"{path} was written by a newer version of this project (form {version}, and this one reads {VERSION}): "
            "take that version, or move the file away and make it anew"
        )
    try:
        return LockContent.model_validate(data)
    except ValidationError as error:
        detail = error.errors()[0]
        place = " / ".join(map(str, detail["loc"])) or "the whole"
        raise _damaged(path, f"{place}: {detail['msg'][:1].lower()}{detail['msg'][1:]}") from None


def _damaged(path: Path, what: str) -> LockError:
    return LockError(
        f"{path} is damaged, or was edited by hand ({what}): bring it back, e.g. with `git checkout {path.name}`, or "
        "move it away and make it anew with deploys/lock.py"
    )


def write_lock_file(path: Path, content: LockContent, inventory: Path) -> None:
    """Replace the file, in one step.

    Raises:
        LockError: it cannot be written.
    """
    text = _HEAD.format(inventory=inventory) + lock_text(content)
    try:
        write_atomic(path, text.encode(), _MODE)
    except OSError as error:
        raise LockError(f"{path} cannot be written: {error.strerror}; it is as it was") from None


def lock_text(content: LockContent) -> str:
    """The lock as YAML. What is equal has equal text."""
    data = {name: value for name, value in content.model_dump(exclude_none=True).items() if value}
    for name, value in data.items():
        if isinstance(value, dict):
            data[name] = {key: _styled(value[key], within=False) for key in sorted(value)}
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _styled(value: Any, *, within: bool) -> Any:
    """A value with what is short in one line: a file's size and digest, a layer of a model.

    Args:
        within: it is an item of a list, or has a name of its own below the thing that is locked.
    """
    if isinstance(value, dict):
        if within and len(value) <= _SHORT and not any(isinstance(each, dict | list) for each in value.values()):
            return _Line(value)
        # Facts are long, and what people look for comes first.
        names = sorted(value, key=lambda name: name == "facts")
        return {name: _styled(value[name], within=isinstance(value[name], dict)) for name in names}
    if isinstance(value, list):
        return _Row(value) if within else [_styled(item, within=True) for item in value]
    return value


_SHORT = 3
"""Most entries of a mapping in one line."""


class _Line(dict[str, Any]):
    """A mapping that is written in one line."""


class _Row(list[Any]):
    """A list that is."""


class _Dumper(yaml.SafeDumper):
    """Without anchors: one entry says all of itself."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Line, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=True)
)
_Dumper.add_representer(
    _Row, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)
)
