"""Routes: which public model name is answered by which provider."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from roles.contract.modes import MODES, PROMPT, Mode
from roles.options.base import Many, Options
from roles.options.values import ModelName, Name, Seconds


class Deployment(Options):
    """One provider's model behind a public name."""

    provider: Name
    """Name of the provider instance."""
    model: ModelName | None = None
    """Model of that provider; none = the only one it serves."""
    weight: Annotated[int, Field(ge=1)] = 1
    """Share of the requests among the route's deployments of the same order."""
    order: Annotated[int, Field(ge=1)] = 1
    """Deployments of a higher order are used only while all of the lower ones fail."""
    rpm: Annotated[int, Field(ge=1)] | None = None
    """Requests that it may get within a minute; further ones go to the others, or are refused with 429. Each
    verification asks a few times too, and waits for the next minute where they are used up."""
    tpm: Annotated[int, Field(ge=1)] | None = None
    """Tokens that it may be asked to take and give within a minute, likewise."""
    max_parallel_requests: Annotated[int, Field(ge=1)] | None = None
    """Requests that it may be answering at the same time, likewise: nothing waits for a free place."""
    timeout: Seconds | None = None
    """Seconds that an answer of it may take; none = the gateway's `request_timeout`."""
    stream_timeout: Seconds | None = None
    """Seconds that a streamed answer of it may pause, at its beginning or later; none = as `timeout`."""
    tags: Many[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]] = ()
    """It answers requests that carry one of these tags; with `default` also those that carry none."""


class Probe(Options):
    """The question that the verifier asks a route."""

    prompt: str = PROMPT
    """What is asked; of a reranker, what the documents are compared with."""
    documents: Many[str] = ()
    """What a reranker is to put in order, in any order but the right one; for no other mode."""
    expects: str | None = None
    """Words that the answer (of a reranker, the best document) must hold, upper and lower case alike; none = any words
    will do."""
    max_tokens: Annotated[int, Field(ge=1)] = 64
    """Longest answer, in tokens. Reasoning models need room to think before they speak."""
    timeout: Seconds = 120
    """Seconds that one answer may take."""


class Route(Options):
    """A public model name and what answers it."""

    name: ModelName
    """The name that clients ask for."""
    deployments: Annotated[Many[Deployment], Field(min_length=1)]
    """Who answers, in order."""
    fallbacks: Many[ModelName] = ()
    """Public names that are asked, in order, when every deployment of this one fails; none = the gateway's
    `default_fallbacks`."""
    context_window_fallbacks: Many[ModelName] = ()
    """Public names that are asked, in order, when a request is too long for this one; none = `fallbacks`."""
    content_policy_fallbacks: Many[ModelName] = ()
    """Public names that are asked, in order, when this one refuses a request for its content; none = `fallbacks`."""
    mode: Mode = "chat"
    """What kind of requests it answers."""
    context_size: Annotated[int, Field(ge=1)] | None = None
    """Tokens that a request to it may have, as clients are told; none = they are not told."""
    tools: bool | None = None
    """Whether it can call tools, as clients are told; none = they are not told. What is promised is verified."""
    structured_outputs: bool | None = None
    """Whether it answers by a JSON schema where a request asks for that, as clients are told; none = they are not told.
    What is promised is verified."""
    vision: bool | None = None
    """Whether it takes images, as clients are told; none = they are not told."""
    probe: Probe | None = None
    """How the verifier verifies it; none = by a question that fits its mode."""

    @property
    def asked(self) -> Probe:
        """The question that verifies it."""
        usual = MODES[self.mode]
        return self.probe or Probe(prompt=usual.prompt, documents=usual.documents, expects=usual.expects)

    @model_validator(mode="after")
    def _probe_fits_the_mode(self) -> Route:
        takes_documents = bool(MODES[self.mode].documents)
        if takes_documents and len(self.asked.documents) < 2:
            raise ValueError("its probe asks a reranker, and needs at least two `documents` to put in order")
        if not MODES[self.mode].calls_tools and (self.tools or self.structured_outputs):
            raise ValueError('`tools` and `structured_outputs` are for chats; remove them, or set `mode="chat"`')
        if not takes_documents and self.asked.documents:
            raise ValueError('`documents` are for a reranker; set `mode="rerank"`, or remove them from the probe')
        return self
