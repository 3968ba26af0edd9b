"""Options of servers that others run."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SerializeAsAny, model_validator

from roles.contract.modes import MODES
from roles.options import GivenSecret, Many, MeteredProvider, Mode, ModelName, TextFile, Url, quoted

_LOOPBACK = ("127.", "localhost", "[::1]")
_OLLAMAS_CLOUD = (":cloud", "-cloud")
"""How the names end of the models that Ollama has elsewhere."""


def _base_address(url: str) -> str:
    """
    Raises:
        ValueError: it is the address of one kind of request, or has more than a path.
    """
    for mode in MODES.values():
        if url.rstrip("/").endswith(mode.path):
            base = url.rstrip("/").removesuffix(mode.path)
            raise ValueError(
                f"{quoted(url)} is where one kind of request goes; give the address above it: {quoted(base)}"
            )
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise ValueError(f"{quoted(url)} has more than a path: give the address without its `?` or `#`")
    return url.rstrip("/")


def check_ca(ca: TextFile | None, url: str) -> None:
    """
    Raises:
        ValueError: there is nothing to check with it.
    """
    if ca and not url.startswith("https://"):
        raise ValueError(f"`ca` is of no use for {quoted(url)}, which has no certificate; remove it, or write https://")


BaseUrl = Annotated[Url, AfterValidator(_base_address)]


class External(MeteredProvider):
    """A server that speaks OpenAI's API and that others run: a cloud, or another machine. Nothing of it is installed,
    started or stopped. What leaves for it, leaves the host."""

    url: BaseUrl = Field(examples=['url="https://api.example.com/v1"'])
    """Its address, as client programs are given it: mostly with `/v1`. With `http://` its key and all requests can be
    read on the way."""
    api_key: SerializeAsAny[GivenSecret] | None = Field(None, examples=['api_key=EnvSecret("EXAMPLE_API_KEY")'])
    """The key that requests to it must carry; none = it requires none."""
    models: Annotated[Many[ModelName], Field(min_length=1)] = Field(examples=['models=["small-latest"]'])
    """Its models that routes may use, as its own documentation names them."""
    modes: Annotated[Many[Mode], Field(min_length=1)] = Field(("chat",), examples=['modes=["chat", "embedding"]'])
    """The kinds of requests that it answers."""
    ca: TextFile | None = Field(None, examples=['ca=TextFile("~/ai-backend/company-ca.pem")'])
    """Certificates in PEM form of authorities that the gateway trusts beside the usual ones, with all servers that it
    asks; none = the usual ones alone."""

    def served(self) -> tuple[ModelName, ...]:
        return tuple(self.models)

    def leaves_for(self, model: ModelName) -> str | None:
        # Also on loopback: what listens there for others may be a tunnel. What stays is declared as `Existing`.
        return urlsplit(self.url).hostname

    @model_validator(mode="after")
    def _has_a_certificate_to_check(self) -> External:
        check_ca(self.ca, self.url)
        return self

    @property
    def is_on_this_host(self) -> bool:
        return urlsplit(self.url).netloc.startswith(_LOOPBACK)


class Existing(External):
    """A server that runs on this host and is not ours to manage, such as a vendor's Ollama or a container: it is used
    and verified as the host's own servers are, and never installed, started, stopped or configured. Which version it
    is, whether it uses a card and how much memory it takes is not known."""

    url: BaseUrl = Field(examples=['url="http://127.0.0.1:11434/v1"'])
    """Its address on this host, as client programs are given it; Ollama's with `/v1`."""
    metered: bool = Field(False, examples=["metered=True"])
    """As in `External`."""

    def leaves_for(self, model: ModelName) -> str | None:
        # Ollama sends these on to its makers; the project's own Ollama does not.
        return "ollama.com" if model.endswith(_OLLAMAS_CLOUD) else None

    @model_validator(mode="after")
    def _is_here(self) -> Existing:
        if not self.is_on_this_host:
            raise ValueError(
                f"{quoted(self.url)} is not on loopback; declare what runs elsewhere as `External`, "
                "with the same options"
            )
        return self
