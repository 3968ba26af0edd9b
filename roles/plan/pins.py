"""What a lock says of the references that move, such as a branch: with it, one inventory means the same at any time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from roles.contract.recipes import HubModelRecipe, ReleaseRecipe
from roles.plan.installs import Install


@dataclass(frozen=True)
class HubReference:
    """A revision of a model repository, as the inventory names it."""

    endpoint: str
    repository: str
    revision: str


@dataclass(frozen=True)
class HubPin:
    """What a revision is.

    Attributes:
        commit: 40 hexadecimal digits.
        patterns: the shell patterns that `digests` has all files of.
        digests: path in the repository → SHA-256.
    """

    commit: str
    patterns: frozenset[str] = frozenset()
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pins:
    """All that a lock pins; empty = nothing.

    Attributes:
        archives: address → SHA-256.
        pulled: name of a model that a server pulls → its digest.
    """

    hub: Mapping[HubReference, HubPin] = field(default_factory=dict)
    archives: Mapping[str, str] = field(default_factory=dict)
    pulled: Mapping[str, str] = field(default_factory=dict)

    def applied(self, install: Install) -> Install:
        """The install, with what is pinned in the place of what moves. Its name stays, and its digest changes."""
        recipe = install.recipe
        if isinstance(recipe, HubModelRecipe):
            return replace(install, recipe=self._hub(recipe))
        if isinstance(recipe, ReleaseRecipe):
            archives = (replace(each, sha256=each.sha256 or self.archives.get(each.url)) for each in recipe.archives)
            return replace(install, recipe=replace(recipe, archives=tuple(archives)))
        return install

    def _hub(self, recipe: HubModelRecipe) -> HubModelRecipe:
        pin = self.hub.get(HubReference(recipe.endpoint, recipe.repository, recipe.revision))
        if pin is None:
            return recipe
        known = pin.digests and pin.patterns >= {*recipe.files}
        return replace(recipe, revision=pin.commit, digests=pin.digests if known else None)


NO_PINS = Pins()
