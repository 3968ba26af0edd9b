"""What shows the metrics of NVIDIA's cards: a small server of our own, with Debian's Python alone."""

from __future__ import annotations

from roles.monitoring.options import Monitoring
from roles.options import Gpus
from roles.plan import PROMETHEUS_USER, Endpoint, Layout, ServerUnit, gpu_files, unit_file

CARDS = "ai-backend-gpu-metrics.service"
_START_SECONDS = 30
_MEMORY = "256M"
"""Bound on its memory, with the driver's tool that it runs: 21 MB without that."""
_MOST_TASKS = 32
"""A faulty driver keeps its tool in the kernel, where no signal ends it: then no more of them are started."""


def cards_unit(monitoring: Monitoring, layout: Layout) -> ServerUnit:
    """It asks the driver's tool each time that Prometheus asks it. Like the servers that use cards, it may open their
    device files and nothing more; it sees all cards of the host."""
    address = f"127.0.0.1:{monitoring.cards_port}"
    return ServerUnit(
        name=CARDS,
        text=unit_file(
            f"monitoring/{CARDS}.j2",
            layout=layout,
            unit=CARDS,
            service=monitoring,
            command=[
                *("/usr/bin/python3", "-I", "-S", f"{layout.config}/bin/gpu"),
                *("serve", "--port", str(monitoring.cards_port)),
            ],
            environment={},
            gpus=Gpus(),
            memory_max=_MEMORY,
            most_tasks=_MOST_TASKS,
            loopback_only=True,
        ),
        reads=tuple(gpu_files()),
        start_timeout=_START_SECONDS,
        endpoint=Endpoint("127.0.0.1", monitoring.cards_port, f"http://{address}/"),
        callers=(PROMETHEUS_USER,),
    )
