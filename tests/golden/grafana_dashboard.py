"""The dashboard for Grafana, from the monitoring's panels, by Grafana's own library."""

from __future__ import annotations

import json
from collections.abc import Mapping

from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, Row
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as Timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, VisibilityMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from roles.contract.graphs import WINDOW
from roles.monitoring.panel import Panel, Unit
from roles.monitoring.panels import SECTIONS

_UNITS: Mapping[Unit, str] = {
    "requests/s": "reqps",
    "requests/min": "reqpm",
    "requests": "short",
    "tokens/s": "suffix: tokens/s",
    "s": "s",
    "share": "percentunit",
    "bytes": "bytes",
    "bytes/s": "binBps",
    "°C": "celsius",
    "W": "watt",
    "US dollars": "currencyUSD",
    "": "short",
}
"""Grafana's words for them."""
_SOURCE = DataSourceRef("prometheus", "${datasource}")
_WIDTH, _HEIGHT = 12, 8
"""Of a panel, on Grafana's grid of 24 columns."""


def grafana_dashboard() -> str:
    """The text of `docs/grafana/ai-backend.json`."""
    made = (
        Dashboard("AI Unified Backend")
        .uid("ai-backend")
        .tags(["ai-backend"])
        .time("now-6h", "now")
        .refresh("1m")
        .with_variable(DatasourceVariable("datasource").label("Prometheus of the host").type("prometheus"))
    )
    number = 0
    for section in SECTIONS:
        number += 1
        made.with_row(Row(section.title).id(number))
        for panel in section.panels:
            number += 1
            made.with_panel(_panel(panel).id(number))
    return json.dumps(made.build(), cls=JSONEncoder, indent=1) + "\n"


def _panel(panel: Panel) -> Stat | Timeseries:
    made: Stat | Timeseries
    if panel.shown == "number":
        made = Stat()
    else:
        legend = VizLegendOptions().show_legend(True)
        legend.display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).calcs([])
        made = Timeseries().legend(legend).show_points(VisibilityMode.NEVER).fill_opacity(8)
    made.title(panel.title).unit(_UNITS[panel.unit]).span(_WIDTH).height(_HEIGHT).min(0).datasource(_SOURCE)
    if about := " ".join(filter(None, (panel.about, panel.needs and f"Shows something only with {panel.needs}."))):
        made.description(about)
    for letter, curve in zip("ABCD", panel.curves, strict=False):
        query = curve.query.replace(WINDOW, "$__rate_interval")
        made.with_target(Dataquery().expr(query).legend_format(curve.name).ref_id(letter).range().datasource(_SOURCE))
    return made
