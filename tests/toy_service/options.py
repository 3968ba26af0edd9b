"""Options of the page."""

from __future__ import annotations

from roles.options import Name, Options, Port, Seconds, Service


class Look(Options):
    """What the page looks like."""

    text: str = "It runs."
    """What it says."""


class StatusPage(Service):
    """A page of status on loopback."""

    name: Name = "status-page"
    """Name of this instance."""
    port: Port = 8090
    """TCP port to listen on."""
    look: Look = Look()
    """What it looks like."""
    start_timeout: Seconds = 30
    """Seconds that it may take from start to its first answer."""
