"""Names of models: `registry/namespace/model:tag`, most of it optional."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

DEFAULT_REGISTRY = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"

_MISSING = "!MISSING!"
_PARTS = {
    "host": re.compile(r"\w[\w.:-]{0,349}", re.ASCII),
    "namespace": re.compile(r"\w[\w-]{0,79}", re.ASCII),
    "model": re.compile(r"\w[\w.-]{0,79}", re.ASCII),
    "tag": re.compile(r"\w[\w.-]{0,79}", re.ASCII),
}


@dataclass(frozen=True)
class Name:
    host: str
    namespace: str
    model: str
    tag: str

    @property
    def valid(self) -> bool:
        return all(pattern.fullmatch(getattr(self, part)) for part, pattern in _PARTS.items())

    @property
    def full(self) -> str:
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def shortest(self) -> str:
        """As people write it: without the parts that are the default."""
        if self.host.lower() != DEFAULT_REGISTRY:
            return self.full
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"

    @property
    def path(self) -> str:
        """Of its manifest, below the folder of manifests."""
        return f"{self.host}/{self.namespace}/{self.model}/{self.tag}"

    def in_the_case_of(self, others: list[Name]) -> Name:
        """The same name, each part spelled as one of `others` spells it: names differ by more than case."""
        name = self
        for other in others:
            for part in _PARTS:
                if getattr(other, part).lower() == getattr(name, part).lower():
                    name = replace(name, **{part: getattr(other, part)})
        return name


def parse_name(text: str) -> Name:
    """May be invalid: see `Name.valid`."""
    tag = "latest"
    if text.rfind(":") > text.rfind("/"):
        text, _, tag = text.rpartition(":")
        text, tag = text or _MISSING, tag or _MISSING
    host, namespace = DEFAULT_REGISTRY, DEFAULT_NAMESPACE
    rest, slash, model = text.rpartition("/")
    if slash:
        model = model or _MISSING
        rest, slash, namespace = (rest or _MISSING).rpartition("/")
        namespace = namespace or _MISSING
        if slash:
            host = (rest or _MISSING).partition("://")[2] or rest or _MISSING
    return Name(host, namespace, model, tag)
