"""Paths on a host: the same tree in system scope and, under XDG folders, in user scope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from roles.options import SystemScope, UserScope


@dataclass(frozen=True)
class Layout:
    """Absolute paths on one host. No other module spells one out."""

    scope: Literal["system", "user"]
    user: str
    """The owner of the tree and of the units' manager: `root`, or the user of a user scope."""
    config: str
    """Symbolic link to the current generation."""
    generations: str
    """One folder per generation. Beside `config`, thus on the root file system: systemd reads unit files before it
    mounts /var."""
    installs: str
    """`<kind>/<digest>`: environments, builds, releases."""
    state: str
    """Models, generated secrets, the deploy lock."""
    cache: str
    """Package and compiler caches, build trees: may be removed at any time."""
    units: str
    """The systemd manager's folder for unit files."""

    @property
    def taken_over(self) -> str:
        """What was there before and is not ours, moved aside. Beside `config`, where the most of it is from: a move
        within one file system is one step."""
        return f"{self.config}-taken-over"

    @property
    def models(self) -> str:
        return f"{self.state}/models"

    @property
    def secrets(self) -> str:
        return f"{self.state}/secrets"

    def secret_file(self, unit: str) -> str:
        """Path of a secret that is made on the host for a unit and its callers."""
        return f"{self.secrets}/{unit.removesuffix('.service')}.env"

    @property
    def disks(self) -> tuple[str, ...]:
        """The folders that may be on file systems of their own, and must not fill up."""
        return (self.generations, self.installs, self.state, self.cache)

    @property
    def wanted_by(self) -> str:
        """The target that starts the units at boot (system) or with the user's manager (user)."""
        return "multi-user.target" if self.scope == "system" else "default.target"

    def install(self, name: str) -> str:
        """Path of the install of that name in the current generation: it stays the same when the install changes."""
        return f"{self.config}/install/{name}"

    def install_root(self, kind: str) -> str:
        return self.models if kind.endswith("model") else f"{self.installs}/{kind}"


def layout_of(scope: SystemScope | UserScope) -> Layout:
    if isinstance(scope, SystemScope):
        return Layout(
            scope="system",
            user="root",
            config="/etc/ai-backend",
            generations="/etc/ai-backend-generations",
            installs="/opt/ai-backend",
            state="/var/lib/ai-backend",
            cache="/var/cache/ai-backend",
            units="/etc/systemd/system",
        )
    home = scope.home_folder
    return Layout(
        scope="user",
        user=scope.user,
        config=f"{home}/.config/ai-backend",
        generations=f"{home}/.config/ai-backend-generations",
        installs=f"{home}/.local/share/ai-backend",
        state=f"{home}/.local/state/ai-backend",
        cache=f"{home}/.cache/ai-backend",
        units=f"{home}/.config/systemd/user",
    )
