"""The known rooms: each service registers itself here with its planners, and everything else is derived from that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from roles.options import Provider, Service
from roles.plan.compile import Planner, Planners
from roles.plan.templates import add_templates


@dataclass(frozen=True)
class Room:
    """A service's room.

    Attributes:
        name: of its folder, and of its templates' folder.
        planners: which function plans each of its types of service or provider.
    """

    name: str
    planners: Planners


_ROOMS: dict[str, Room] = {}


def register(name: str, planners: Planners, templates: Path | None = None) -> Room:
    """Make a room known: the one line by which its package becomes part of the project.

    Args:
        name: of its folder.
        planners: which function plans each of its types of service or provider.
        templates: the folder of its templates; none = `templates/<name>/` of the project.

    Raises:
        ValueError: another room has that name.
    """
    if name in _ROOMS:
        raise ValueError(f'two rooms are called "{name}"; rename one of them')
    if templates:
        add_templates(name, templates)
    return _ROOMS.setdefault(name, Room(name, dict(planners)))


def rooms() -> tuple[Room, ...]:
    """All rooms imported so far, sorted by name: the order of imports does not matter."""
    return tuple(_ROOMS[name] for name in sorted(_ROOMS))


def planners() -> dict[type[Service] | type[Provider], Planner]:
    """Which function plans which type of service or provider, for all rooms."""
    return {service: planner for room in rooms() for service, planner in room.planners.items()}
