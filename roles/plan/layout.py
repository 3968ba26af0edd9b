"""Paths on a host: the same tree in system scope and, under XDG folders, in user scope."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from roles.contract.models import MODELS_LINKS
from roles.options import OptionsError, SystemScope, UserScope


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
    models_folder: str | None = None
    """Where models are, if not below the state."""

    @property
    def taken_over(self) -> str:
        """What was there before and is not ours, moved aside. Beside `config`, where the most of it is from: a move
        within one file system is one step."""
        return f"{self.config}-taken-over"

    @property
    def models(self) -> str:
        """The folder of the models: a link, if they are elsewhere. Generations reach theirs by its name, and pruning
        finds by the links what is in former folders."""
        if self.models_folder is None:
            return f"{self.state}/models"
        # No path of a host that an option takes has a colon, so no two have one name.
        return f"{self.models_links}/{self.models_folder.strip('/').replace('/', ':')}"

    @property
    def models_links(self) -> str:
        return f"{self.state}/{MODELS_LINKS}"

    @property
    def secrets(self) -> str:
        return f"{self.state}/secrets"

    def secret_file(self, unit: str) -> str:
        """Path of a secret that is made on the host for a unit and its callers."""
        return f"{self.secrets}/{unit.removesuffix('.service')}.env"

    @property
    def disks(self) -> tuple[str, ...]:
        """The folders that may be on file systems of their own, and must not fill up."""
        elsewhere = (self.models_folder,) if self.models_folder else ()
        return (self.generations, self.installs, self.state, self.cache, *elsewhere)

    @property
    def wanted_by(self) -> str:
        """The target that starts the units at boot (system) or with the user's manager (user)."""
        return "multi-user.target" if self.scope == "system" else "default.target"

    def install(self, name: str) -> str:
        """Path of the install of that name in the current generation: it stays the same when the install changes."""
        return f"{self.config}/install/{name}"

    def install_root(self, kind: str) -> str:
        return self.models if kind.endswith("model") else f"{self.installs}/{kind}"


def layout_of(scope: SystemScope | UserScope, models_folder: str | None = None) -> Layout:
    """
    Args:
        models_folder: as in `Layout`.

    Raises:
        OptionsError: it is within a folder of the layout, or has one within.
    """
    layout = _layout_of(scope)
    if models_folder is None:
        return layout
    for ours in (layout.config, layout.generations, layout.installs, layout.state, layout.cache, layout.units):
        if f"{models_folder}/".startswith(f"{ours}/") or f"{ours}/".startswith(f"{models_folder}/"):
            raise OptionsError(
                f"`models_folder`: {models_folder} and {ours}, which deploys manage, are one within the other: name "
                "a folder of another disk, or remove it to keep models beside the other state"
            )
    return replace(layout, models_folder=models_folder)


def _layout_of(scope: SystemScope | UserScope) -> Layout:
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
