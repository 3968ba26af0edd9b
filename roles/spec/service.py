"""What every service has in common: a name, an address, and bounds."""

from __future__ import annotations

from roles.spec.options import Options
from roles.spec.values import BindAddress, MemorySize, ModelName, Name, Port, Seconds


class Service(Options):
    """A process under systemd that listens on one port."""

    name: Name
    """Name of this instance, part of its unit's name."""
    bind: BindAddress = "127.0.0.1"
    """Address to listen on. Loopback unless other hosts must reach it."""
    port: Port
    """TCP port to listen on."""
    start_timeout: Seconds = 120
    """Seconds that it may take from start to its first answer."""
    memory_max: MemorySize | None = None
    """Bound on the unit's memory; none = unbounded."""

    @property
    def reachable_at(self) -> str:
        """The address at which a process on the same host reaches it."""
        return "127.0.0.1" if self.bind == "0.0.0.0" else self.bind

    def __str__(self) -> str:
        return f'{type(self).__name__} "{self.name}"'


class Provider(Service):
    """A model server: a service that answers for one or more models."""

    def served(self) -> tuple[ModelName, ...]:
        """The models that it serves, as requests to it name them."""
        raise NotImplementedError


class Gateway(Service):
    """The one endpoint in front of all providers."""
