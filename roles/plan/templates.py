"""Jinja2 over the project's `templates/` folder, wherever the project is installed, in any working folder.

Shared templates are in that folder itself, a service's own in `templates/<room>/`. A room from outside the project
brings its own folder; its templates have names of the same form: `<room>/<template>`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import yaml
from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined

_ROLES = Path(__file__).resolve().parent.parent


def _folder() -> Path:
    """`templates/` beside `roles/` in a checkout, inside it in a built wheel."""
    packaged = _ROLES / "templates"
    return packaged if packaged.is_dir() else _ROLES.parent / "templates"


def systemd_quote(argument: str) -> str:
    """One argument of an `ExecStart=` line, safe from systemd's specifiers, variables and word splitting.

    Source: systemd.service(5), "Command lines", and systemd.unit(5), "Specifiers".
    """
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if re.fullmatch(r"[A-Za-z0-9_@%$+=:,./-]+", escaped) else f'"{escaped}"'


def systemd_assignment(name: str, value: str) -> str:
    """What follows `Environment=`: no word splitting, no specifiers. `$` means nothing there (systemd.exec(5))."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f"{name}={escaped}" if re.fullmatch(r"[^\s\\\"']*", value) else f'"{name}={escaped}"'


def _command_line(arguments: Sequence[str]) -> str:
    """A command over several lines: the program, then each option with its value on its own line."""
    program, *rest = [systemd_quote(argument) for argument in arguments]
    lines = [program]
    for argument in rest:
        is_option = argument.startswith("-") and not argument[1:].isdigit()
        starts_option = is_option or lines[-1] == program or not lines[-1].startswith("-")
        if starts_option or " " in lines[-1]:
            lines.append(argument)
        else:
            lines[-1] += f" {argument}"
    return " \\\n    ".join(lines)


def _to_yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120).rstrip("\n")


_OF_ROOMS: dict[str, BaseLoader] = {}
"""Room from outside the project → its templates."""


def add_templates(room: str, folder: Path) -> None:
    """Make the templates in a room's own folder known, as `<room>/<template>`."""
    _OF_ROOMS[room] = FileSystemLoader(folder)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(_folder()), PrefixLoader(_OF_ROOMS)]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # unit files and YAML, no HTML; values are quoted by the filters below
    )
    environment.filters["command_line"] = _command_line
    environment.globals["assignment"] = systemd_assignment
    environment.filters["yaml"] = _to_yaml
    return environment


def render(template: str, **values: object) -> str:
    """The text of `templates/<template>`; a name in the template without a value is an error."""
    return _environment().get_template(template).render(**values)
