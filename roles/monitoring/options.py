"""Options of the monitoring."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from roles.monitoring.receivers import AnyReceiver
from roles.monitoring.remote_write import RemoteWrite
from roles.options import BindAddress, Many, MemorySize, Monitor, Name, Port, quoted, spelled


def _exists(address: str) -> str:
    host, _, port = address.rpartition(":")
    if any(int(part) > 255 for part in host.split(".")) or not 0 < int(port) <= 65535:
        raise ValueError(f"{quoted(address)} is no address that exists: four numbers up to 255, and a port up to 65535")
    return address


ExporterAddress = Annotated[
    str,
    spelled(r"([0-9]{1,3}\.){3}[0-9]{1,3}:[0-9]{1,5}", 'IPv4 address and port, such as "127.0.0.1:9400"'),
    AfterValidator(_exists),
]


class Monitoring(Monitor):
    """Prometheus, Alertmanager and node exporter, from Debian. Prometheus reads the metrics of everything on the host,
    and keeps them for a bounded time and in a bounded space."""

    name: Name = Field("monitoring", examples=['name="metrics"'])
    """Name of it in messages and reports."""
    bind: BindAddress = Field("127.0.0.1", examples=['bind="192.168.7.10"'])
    """Address of Prometheus' pages. They ask for no login: on loopback they are closed to all users but root; at any
    other address everybody who reaches it may read them."""
    port: Port = Field(9090, examples=["port=9190"])
    """TCP port of Prometheus."""
    alertmanager_port: Port = Field(9093, examples=["alertmanager_port=9193"])
    """Loopback port of Alertmanager."""
    exporter_port: Port = Field(9100, examples=["exporter_port=9200"])
    """Loopback port of node exporter."""
    cards_port: Port = Field(9109, examples=["cards_port=9209"])
    """Loopback port of the metrics of NVIDIA's cards, where the stack uses any."""
    dcgm_exporter: ExporterAddress | None = Field(None, examples=['dcgm_exporter="127.0.0.1:9400"'])
    """Address of a dcgm-exporter of yours, which Prometheus then reads too; none = there is none."""
    interval: Annotated[int, Field(ge=5, le=120)] = Field(15, examples=["interval=30"])
    """Seconds between two readings of each metric."""
    keep_days: Annotated[int, Field(ge=1, le=3650)] = Field(30, examples=["keep_days=90"])
    """Days for which metrics are kept."""
    keep_size: MemorySize = Field("2G", examples=['keep_size="10G"'])
    """Space on the disk for them; when that is full, the oldest are removed before their time."""
    memory_max: MemorySize | None = Field("1G", examples=['memory_max="2G"'])
    """Bound on Prometheus' memory; none = unbounded."""
    receivers: Many[AnyReceiver] = Field((), examples=['receivers=[Ntfy(url=EnvSecret("NTFY_TOPIC"))]'])
    """Who is notified of alerts; none = they are on Prometheus' page alone."""
    remote_write: Many[RemoteWrite] = Field(
        (), examples=['remote_write=[RemoteWrite(url="https://metrics.example.com/api/v1/write")]']
    )
    """Who else gets the metrics; none = they stay on the host."""

    @property
    def addresses(self) -> tuple[tuple[BindAddress, Port], ...]:
        local = (self.alertmanager_port, self.exporter_port, self.cards_port, self.front_port)
        return ((self.bind, self.port), *(("127.0.0.1", port) for port in local))

    @model_validator(mode="after")
    def _ports_differ(self) -> Monitoring:
        port, times = Counter(port for _, port in self.addresses).most_common(1)[0]
        if times > 1:
            raise ValueError(
                f"{times} of `port`, `alertmanager_port`, `exporter_port`, `cards_port` and `front_port` are {port}; "
                "they must differ"
            )
        return self
