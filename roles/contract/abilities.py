"""What a route can do beyond plain text, declared once: the gateway refuses what it cannot, the verifier asks for all.

`roles.plan.abilities` writes them, the gateway's request checks and the verifier read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

WhenUnsupported: TypeAlias = Literal["drop", "refuse"]
"""What happens to a part of a request that the route cannot serve and that many programs always send."""


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What all deployments of a route can do.

    Attributes:
        images, audio: a chat may contain them.
        tools: it calls the tools of a request.
        structured_outputs: it answers by a JSON schema.
        thinking: a request may say how long it thinks before it answers.
        logprobs: it gives the probabilities of its tokens.
        several: it gives several answers to one request (`n`).
        context_size: most tokens of a request and its answer; none = not known.
        cuts_silently: a request that is longer gets an answer to a part of it, or an empty one, instead of an error.
        when_unsupported: `drop` leaves out tools and the like, which many programs send with each request; what asks
            for an answer of another form, or has another content, is refused all the same.
    """

    images: bool = False
    audio: bool = False
    tools: bool = True
    structured_outputs: bool = True
    thinking: bool = True
    logprobs: bool = True
    several: bool = True
    context_size: int | None = None
    cuts_silently: bool = False
    when_unsupported: WhenUnsupported = "drop"


UNKNOWN = Abilities(images=True, audio=True)
"""Of a server that says nothing: it decides itself."""
