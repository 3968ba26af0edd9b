"""Options of the page."""

from __future__ import annotations

from pydantic import Field

from roles.options import Name, Options, Port, Seconds, Service


class Look(Options):
    """What the page looks like."""

    text: str = Field("It runs.", examples=['text="All is well."'])
    """What it says."""


class StatusPage(Service):
    """A page of status on loopback."""

    name: Name = Field("status-page", examples=['name="status"'])
    """Name of this instance."""
    port: Port = Field(8090, examples=["port=8091"])
    """TCP port to listen on."""
    look: Look = Field(Look(), examples=['look=Look(text="All is well.")'])
    """What it looks like."""
    start_timeout: Seconds = Field(30, examples=["start_timeout=60"])
    """Seconds that it may take from start to its first answer."""
