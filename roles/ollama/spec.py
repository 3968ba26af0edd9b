"""Options of Ollama."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roles.spec import Many, ModelName, Name, Port, Provider, Seconds, UrlFile


class Ollama(Provider):
    """An Ollama server and the models that it holds."""

    name: Name = "ollama"
    """Name of this instance."""
    port: Port = 11434
    """TCP port to listen on."""
    release: UrlFile | None = None
    """The release archive; must be given where it is installed."""
    models: Annotated[Many[ModelName], Field(min_length=1)]
    """The models to hold, as Ollama names them."""
    keep_alive: Annotated[str, Field(pattern=r"^(-1|[0-9]+[smh])$")] = "5m"
    """How long a model stays loaded after its last request; -1 = for ever."""
    start_timeout: Seconds = 60
    """Seconds that it may take from start to its first answer."""

    def served(self) -> tuple[ModelName, ...]:
        return tuple(self.models)
