"""Monitoring: Prometheus, Alertmanager and node exporter, from Debian."""

from roles.monitoring.options import Monitoring
from roles.monitoring.plan import plan_monitoring
from roles.monitoring.receivers import Email, Ntfy, Slack, Webhook
from roles.monitoring.remote_write import RemoteWrite
from roles.plan import register

ROOM = register("monitoring", {Monitoring: plan_monitoring})

__all__ = ["ROOM", "Email", "Monitoring", "Ntfy", "RemoteWrite", "Slack", "Webhook"]
