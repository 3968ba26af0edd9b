"""What the verifier measures: how fast routes answer, and what engines take of memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from roles.contract.promise import Bytes, Number, Promise, Rate, Seconds


@dataclass(frozen=True)
class RouteSpeed:
    """How fast a route answered, through the gateway."""

    route: str
    """The public name."""
    first_token: Seconds
    """Seconds until the first token of the answer to a short question."""
    tokens_per_second: Rate
    """Tokens that it then wrote a second, for one client."""
    prompt_tokens_per_second: Rate
    """Tokens of a long prompt that it read a second; 0 = it had not read it in time."""
    at_once: Number
    """Clients at the same time, for the next number; 0 = there was no time to try."""
    tokens_per_second_at_once: Rate
    """Tokens that it wrote a second, for all of them together."""
    others: Number = 0
    """Requests of others that were under way meanwhile: with any, it is not judged."""
    slower: str = ""
    """In what it is slower than it should be, for people; empty = in nothing."""
    made_of: str = ""
    """A digest of what the route is made of; empty = not known."""

    @property
    def words(self) -> str:
        """For people."""
        several = f", {self.tokens_per_second_at_once:g} for {self.at_once} clients" if self.at_once else ""
        read = self.prompt_tokens_per_second
        beside = f"; measured beside {self.others} requests of others" if self.others else ""
        reads = f"; reads {read:g} tokens/s" if read else ""
        return (
            f"first token after {self.first_token:.2f} s; {self.tokens_per_second:g} tokens/s{several}{reads}{beside}"
        )


@dataclass(frozen=True)
class EngineMemory:
    """What a model server takes of one kind of memory: as planned, and as measured."""

    provider: str
    memory: Annotated[str, Promise({"enum": ["cards", "main memory"]})]
    """All of its cards together, or the host's main memory."""
    planned: Bytes
    """Bytes by the memory plan; null = not known."""
    measured: Bytes
    """Bytes after the routes were asked; null = not known."""
    detail: str = ""
    """For people: the models that are planned for, or why a number is not known."""
    warning: str = ""
    """For people, if the two differ by more than the arithmetic may be wrong; empty = they do not."""

    @property
    def numbers(self) -> tuple[str, str]:
        """What is planned and measured, for people."""
        planned, measured = (
            "not known" if number is None else f"{number / 2**20:.0f} MiB" for number in (self.planned, self.measured)
        )
        return planned, measured
