"""The monitoring's part of a host plan: Debian's programs under our own units."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources

from roles.contract.graphs import GRAPHS_FILE
from roles.contract.wire import written
from roles.monitoring.alertmanager import alertmanager_config, notified
from roles.monitoring.cards import cards_unit
from roles.monitoring.options import Monitoring
from roles.monitoring.panels import questions
from roles.monitoring.prometheus import prometheus_config
from roles.monitoring.remote_write import remote_secrets
from roles.monitoring.rules import alerts, rules_file
from roles.options import OptionsError
from roles.plan import (
    PROMETHEUS_USER,
    Endpoint,
    EnvValue,
    Layout,
    MetricsPage,
    MonitoringContext,
    ServerUnit,
    ServicePlan,
    render,
    runtime_folder,
    unit_file,
)

PROMETHEUS = "ai-backend-prometheus.service"
ALERTMANAGER = "ai-backend-alertmanager.service"
EXPORTER = "ai-backend-node-exporter.service"
CONFIG = "monitoring/prometheus.yml"
RULES = "monitoring/rules.yml"
ALERTMANAGER_CONFIG = "monitoring/alertmanager.yml"
MESSAGES = "monitoring/messages.tmpl"
_START = "bin/start-prometheus"
_START_ALERTMANAGER = "bin/start-alertmanager"

_PROGRAMS = ("prometheus", "prometheus-alertmanager", "prometheus-node-exporter")
"""Debian's packages; each brings a unit of its name."""
_EXPORTER_USER = "ai-backend-node-exporter"
"""Not a dynamic one: without `libnss-systemd` the bus does not know those, and hangs up."""
_BUS = "dbus"
"""By it node exporter asks systemd."""
_KEYS = f"/run/{runtime_folder(PROMETHEUS)}"
"""Where Prometheus' start script puts the keys for the pages, and for whom it writes to."""
_SMALL = "256M"
"""Bound on the memory of Alertmanager, and of node exporter: they take some 20 to 40 MB."""
_START_SECONDS = 30
_COLLECTORS = (
    "cpu", "diskstats", "filesystem", "hwmon", "loadavg", "meminfo", "netdev", "pressure", "stat", "systemd",
    "textfile", "uname", "vmstat",
)  # fmt: skip
"""Of node exporter: those from which a person learns something about a server of models."""


_NOT_DISKS = "^/(dev|proc|sys|tmp|var/tmp|run/credentials/.+|run/host/.+|var/lib/(docker|containers)/.+)($|/)"
"""Where node exporter looks for no disk: its own default, and the folders that its unit has of its own."""


def plan_monitoring(monitoring: Monitoring, context: MonitoringContext) -> ServicePlan:
    """Prometheus, Alertmanager and node exporter.

    Raises:
        OptionsError: the stack is a user's.
    """
    layout = context.layout
    if layout.scope == "user":
        raise OptionsError(
            f"{monitoring}: it needs the system scope: no user can install Debian's packages, and in user scope no "
            "firewall closes its ports, which ask for no login; remove `monitoring`, or the `scope`"
        )
    own = [
        MetricsPage("prometheus", "prometheus", f"{monitoring.reachable_at}:{monitoring.port}"),
        MetricsPage("alertmanager", "alertmanager", f"127.0.0.1:{monitoring.alertmanager_port}"),
        MetricsPage("node", "node", f"127.0.0.1:{monitoring.exporter_port}"),
    ]
    if monitoring.dcgm_exporter:
        own.append(MetricsPage("dcgm", "dcgm", monitoring.dcgm_exporter))
    cards: list[ServerUnit] = []
    if any(gpus.vendor == "nvidia" for gpus in context.cards):
        cards.append(cards_unit(monitoring, layout))
        own.append(MetricsPage("cards", "cards", f"127.0.0.1:{monitoring.cards_port}"))
    pages = [*context.pages, *own]
    watched = [*(server.name for server in context.servers), PROMETHEUS, ALERTMANAGER, EXPORTER]
    return ServicePlan(
        units=(
            *cards,
            _exporter(monitoring, layout, context.verdict, watched),
            _alertmanager(monitoring, layout),
            _prometheus(monitoring, layout, pages),
        ),
        packages=(*_PROGRAMS, _BUS),
        keep_off=tuple(f"{package}.service" for package in _PROGRAMS),
        files={
            CONFIG: render(
                "monitoring/config.yml.j2",
                unit=PROMETHEUS,
                config=prometheus_config(monitoring, pages, f"{layout.config}/{RULES}", _KEYS),
            ),
            RULES: render(
                "monitoring/config.yml.j2", unit=PROMETHEUS, config=rules_file(alerts(context.verified_every))
            ),
            ALERTMANAGER_CONFIG: render(
                "monitoring/config.yml.j2",
                unit=ALERTMANAGER,
                config=alertmanager_config(monitoring.receivers, f"{layout.config}/{MESSAGES}"),
            ),
            _START: _source("start.sh"),
            **(
                {MESSAGES: _source("messages.tmpl"), _START_ALERTMANAGER: _source("start_alertmanager.py")}
                if monitoring.receivers
                else {}
            ),
            GRAPHS_FILE: json.dumps(written(questions(f"http://{monitoring.reachable_at}:{monitoring.port}")), indent=1)
            + "\n",
        },
        kind="monitoring",
    )


def _prometheus(monitoring: Monitoring, layout: Layout, pages: Sequence[MetricsPage]) -> ServerUnit:
    logins = {page.login.client_variable: page.login for page in pages if page.login}
    remote = remote_secrets(monitoring.remote_write)
    secrets: Mapping[str, EnvValue] = {
        **{name: value for variable, login in logins.items() for name, value in login.given(variable).items()},
        **remote,
    }
    address = f"{monitoring.reachable_at}:{monitoring.port}"
    return ServerUnit(
        name=PROMETHEUS,
        text=unit_file(
            f"monitoring/{PROMETHEUS}.j2",
            layout=layout,
            unit=PROMETHEUS,
            service=monitoring,
            command=[
                *("/bin/sh", f"{layout.config}/{_START}", *logins, *remote, "--"),
                "/usr/bin/prometheus",
                f"--config.file={layout.config}/{CONFIG}",
                f"--web.listen-address={monitoring.bind}:{monitoring.port}",
                f"--storage.tsdb.path={layout.state}/prometheus",
                f"--storage.tsdb.retention.time={monitoring.keep_days}d",
                f"--storage.tsdb.retention.size={monitoring.keep_size}B",
                # For the host's name, which a plan does not know.
                "--enable-feature=expand-external-labels",
            ],
            environment={},
            secrets=secrets,
            environment_files=sorted({file for login in logins.values() for file in login.files}),
            memory_max=monitoring.memory_max,
            user=PROMETHEUS_USER,
            loopback_only=monitoring.is_local
            and not monitoring.remote_write
            and all(page.address.startswith("127.") for page in pages),
            runtime_folder=runtime_folder(PROMETHEUS),
        ),
        environment=secrets,
        reads=(CONFIG, RULES, _START),
        start_timeout=monitoring.start_timeout,
        user=PROMETHEUS_USER,
        endpoint=Endpoint(monitoring.bind, monitoring.port, f"http://{address}/-/ready"),
        # It reads its own page too.
        callers=(PROMETHEUS_USER,),
    )


def _source(name: str) -> str:
    return (resources.files("roles") / "monitoring" / name).read_text()


def _alertmanager(monitoring: Monitoring, layout: Layout) -> ServerUnit:
    address = f"127.0.0.1:{monitoring.alertmanager_port}"
    secrets = {name: secret for each in notified(monitoring.receivers) for name, secret in each.secrets.items()}
    config, runtime = f"{layout.config}/{ALERTMANAGER_CONFIG}", runtime_folder(ALERTMANAGER)
    start: list[str] = []
    if monitoring.receivers:
        copy = f"/run/{runtime}/alertmanager.yml"
        start = ["/usr/bin/python3", "-I", "-S", f"{layout.config}/{_START_ALERTMANAGER}", config, copy]
        config = copy
    return ServerUnit(
        name=ALERTMANAGER,
        text=unit_file(
            f"monitoring/{ALERTMANAGER}.j2",
            layout=layout,
            unit=ALERTMANAGER,
            service=monitoring,
            command=[
                *start,
                "/usr/bin/prometheus-alertmanager",
                f"--config.file={config}",
                f"--storage.path={layout.state}/alertmanager",
                f"--web.listen-address={address}",
                # It has no others to agree with.
                "--cluster.listen-address=",
            ],
            environment={},
            secrets=secrets,
            memory_max=_SMALL,
            loopback_only=not monitoring.receivers,
            runtime_folder=runtime if monitoring.receivers else None,
        ),
        environment=secrets,
        reads=(ALERTMANAGER_CONFIG, *((MESSAGES, _START_ALERTMANAGER) if monitoring.receivers else ())),
        start_timeout=_START_SECONDS,
        endpoint=Endpoint("127.0.0.1", monitoring.alertmanager_port, f"http://{address}/-/ready"),
        callers=(PROMETHEUS_USER,),
    )


def _exporter(monitoring: Monitoring, layout: Layout, verdict: str, watched: Sequence[str]) -> ServerUnit:
    """
    Args:
        verdict: the file with the metrics of the last verification.
        watched: the units about which systemd is asked, besides those whose names begin with `ai-backend-`.
    """
    address = f"127.0.0.1:{monitoring.exporter_port}"
    units = "|".join(["ai-backend-.+", *(name.replace(".", "[.]") for name in watched if "ai-backend-" not in name)])
    return ServerUnit(
        name=EXPORTER,
        text=unit_file(
            f"monitoring/{EXPORTER}.j2",
            layout=layout,
            unit=EXPORTER,
            service=monitoring,
            command=[
                "/usr/bin/prometheus-node-exporter",
                f"--web.listen-address={address}",
                "--web.disable-exporter-metrics",
                "--collector.disable-defaults",
                *(f"--collector.{name}" for name in _COLLECTORS),
                f"--collector.filesystem.mount-points-exclude={_NOT_DISKS}",
                # Its sandbox has no netlink sockets.
                "--no-collector.netdev.netlink",
                "--collector.systemd.enable-restarts-metrics",
                f"--collector.systemd.unit-include={units}",
                f"--collector.textfile.directory={verdict.rpartition('/')[0]}",
            ],
            environment={},
            memory_max=_SMALL,
            user=_EXPORTER_USER,
            loopback_only=True,
        ),
        start_timeout=_START_SECONDS,
        user=_EXPORTER_USER,
        endpoint=Endpoint("127.0.0.1", monitoring.exporter_port, f"http://{address}/"),
        callers=(PROMETHEUS_USER,),
    )
