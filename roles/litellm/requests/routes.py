"""What each public name can do, as the manifest says it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from roles.contract.manifest import Deployment, Model, Models
from roles.contract.wire import read
from roles.litellm.requests.live_file import LiveFile


class Routes(LiveFile[Model]):
    """The routes in the manifest's file of public names, by their names, aliases and deployments' ids."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, _read)

    def deployment(self, id: str) -> Deployment | None:
        """The deployment with that id; none = it is none of the routes'."""
        route = self.get(id)
        return next((each for each in route.deployments if each.id == id), None) if route else None

    def stays_here(self, id: str, api_base: object) -> bool:
        """Whether what is asked of that deployment, and at that address, stays on this host, or goes to another one of
        its inventory."""
        found = self.deployment(id)
        return found is not None and found.api_base == api_base and not found.elsewhere


def _read(text: str) -> Mapping[str, Model]:
    try:
        # It may be another version's.
        models = read(Models, yaml.safe_load(text), strict=False)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    return {
        name: model
        for model in models.models
        for name in (*(deployment.id for deployment in model.deployments), *model.aliases, model.name)
    }
