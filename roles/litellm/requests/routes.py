"""What each public name can do, as the manifest says it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from roles.contract.manifest import Model, Models
from roles.contract.wire import read
from roles.litellm.requests.live_file import LiveFile


class Routes(LiveFile[Model]):
    """The routes in the manifest's file of public names, by their names, aliases and deployments' ids."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, _read)

    def stays_here(self, deployment: str, api_base: object) -> bool:
        """Whether what is asked of that deployment, by its id, and at that address stays on this host, or goes to
        another one of its inventory."""
        route = self.get(deployment)
        return route is not None and any(
            (each.id, each.api_base, each.elsewhere) == (deployment, api_base, False) for each in route.deployments
        )


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
