"""What each public name can do, as the manifest says it. A change of it takes effect without a restart."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import yaml

from roles.contract.manifest import Model, Models
from roles.contract.wire import WireError, read

_LOGGER = logging.getLogger("LiteLLM Proxy")


class Routes:
    """The routes in the manifest's file of public names, which is read again whenever it is another one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._routes: Mapping[str, Model] = {}

    def get(self, name: str) -> Model | None:
        """The route of a name, an alias or a deployment's id."""
        self._read_if_changed()
        return self._routes.get(name)

    def _read_if_changed(self) -> None:
        """A switch to another generation changes where the link in its path leads."""
        try:
            stat = self._file.stat()
            if (seen := (stat.st_ino, stat.st_mtime_ns)) == self._seen:
                return
            models = read(Models, yaml.safe_load(self._file.read_text()), strict=False)
        except (OSError, yaml.YAMLError, WireError) as error:
            # Requests go on with what was read before: it is their servers that decide then.
            if self._seen is not None or not self._routes:
                _LOGGER.error("what the routes can do is not known anew: %s", error)
            self._seen = None
            return
        self._seen = seen
        self._routes = {
            name: model
            for model in models.models
            for name in (*(deployment.id for deployment in model.deployments), *model.aliases, model.name)
        }
