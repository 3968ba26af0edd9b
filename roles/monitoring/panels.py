"""What the dashboards show: each panel with its queries, for Grafana and for the status page of the verifier."""

from __future__ import annotations

from roles.contract.graphs import WINDOW, Curve, Question, Questions
from roles.monitoring.card_panels import CARDS
from roles.monitoring.panel import Panel, Section
from roles.monitoring.rules import CANARY, NO_DISKS

_NAMED = f'{{requested_model!~"|{CANARY}"}}'
"""Requests for a name, and not the verifier's for the canary."""


def _sum(counter: str) -> str:
    """A second, of all its series together."""
    return f"sum(rate({counter}[{WINDOW}]))"


def _by(labels: str, counter: str) -> str:
    """A second, for each of these labels."""
    return f"sum by ({labels}) (rate({counter}[{WINDOW}]))"


def _a_minute(labels: str, counter: str) -> str:
    """Of what is rare."""
    return f"60 * {_by(labels, counter)}"


def _within(share: float, histogram: str, *labels: str, of: str = "") -> str:
    """The seconds within which that share of the answers came."""
    buckets = _by(", ".join(("le", *labels)), f"{histogram}_bucket{of}")
    return f"histogram_quantile({share}, {buckets})"


def _half_and_most(histogram: str, of: str = "") -> tuple[Curve, ...]:
    return (
        Curve(_within(0.5, histogram, of=of), "half of them"),
        Curve(_within(0.95, histogram, of=of), "95 of 100"),
    )


_ANSWERS = "haproxy_frontend_http_responses_total"
_FAILED = "litellm_proxy_failed_requests_metric"
_FIRST_TOKEN = "litellm_llm_api_time_to_first_token_metric"
_WHOLE = "litellm_request_total_latency_metric"
_STREAMED = "streamed answers"

_REQUESTS = Section(
    "Requests",
    (
        Panel(
            "Requests by status",
            "requests/s",
            (Curve(_by("code", f'{_ANSWERS}{{proxy="endpoint",code=~"[245]xx"}}'), "{{code}}"),),
            "All that came to the endpoint, also what it refused: 4xx blames the request, 5xx the server.",
            essential=True,
        ),
        Panel(
            "Under way and waiting",
            "requests",
            (
                Curve('sum(haproxy_backend_current_sessions{proxy="gateways"})', "under way"),
                Curve('sum(haproxy_backend_current_queue{proxy="gateways"})', "waiting for an instance"),
            ),
            essential=True,
        ),
        Panel(
            "Requests by name",
            "requests/s",
            (
                Curve(
                    _by("requested_model", f"litellm_proxy_total_requests_metric_total{_NAMED}"), "{{requested_model}}"
                ),
            ),
            "A request that a fallback answered counts under the fallback's name.",
        ),
        Panel(
            "Requests by client",
            "requests/s",
            (Curve(_by("api_key_alias", f"litellm_proxy_total_requests_metric_total{_NAMED}"), "{{api_key_alias}}"),),
        ),
        Panel(
            "Tokens",
            "tokens/s",
            (
                Curve(_sum("litellm_input_tokens_metric_total"), "read"),
                Curve(_sum("litellm_output_tokens_metric_total"), "written"),
            ),
            essential=True,
        ),
        Panel(
            "Tokens written by name",
            "tokens/s",
            (Curve(_by("requested_model", f"litellm_output_tokens_metric_total{_NAMED}"), "{{requested_model}}"),),
        ),
    ),
)

_LATENCY = Section(
    "Latency",
    (
        Panel(
            "First token",
            "s",
            _half_and_most(_FIRST_TOKEN, _NAMED),
            "Of streamed answers, from the request to the backend on.",
            essential=True,
            needs=_STREAMED,
        ),
        Panel("Whole answer", "s", _half_and_most(_WHOLE, _NAMED), essential=True),
        Panel(
            "First token by name, 95 of 100",
            "s",
            (Curve(_within(0.95, _FIRST_TOKEN, "requested_model", of=_NAMED), "{{requested_model}}"),),
            needs=_STREAMED,
        ),
        Panel(
            "Whole answer by name, 95 of 100",
            "s",
            (Curve(_within(0.95, _WHOLE, "requested_model", of=_NAMED), "{{requested_model}}"),),
        ),
    ),
)

_ERRORS = Section(
    "Errors, fallbacks, cache",
    (
        Panel(
            "Errors by status",
            "requests/min",
            (Curve(_a_minute("exception_status", f"{_FAILED}_total"), "{{exception_status}}"),),
            "As clients got them from LiteLLM. What the front refuses by itself is in the requests by status.",
            needs="an error",
        ),
        Panel(
            "Failures of deployments",
            "requests/min",
            (
                Curve(
                    _a_minute(
                        "model_id, exception_status",
                        f'litellm_deployment_failure_responses_total{{model_id!~"|{CANARY}"}}',
                    ),
                    "{{model_id}}: {{exception_status}}",
                ),
            ),
            "Those that a fallback made good are among them.",
            needs="a backend that failed",
        ),
        Panel(
            "Fallbacks",
            "requests/min",
            (
                Curve(
                    _a_minute(
                        "requested_model, fallback_model",
                        f"litellm_deployment_successful_fallbacks_total{_NAMED}",
                    ),
                    "{{requested_model}}, by {{fallback_model}}",
                ),
            ),
            "Requests that a deployment of another name answered.",
            essential=True,
            needs="a fallback",
        ),
        Panel(
            "Cache",
            "requests/s",
            (
                Curve(_sum("litellm_cache_hits_metric_total"), "answered from the cache"),
                Curve(_sum("litellm_cache_misses_metric_total"), "not in it"),
            ),
            needs="a cache",
        ),
    ),
)

_ENGINES = Section(
    "Engines",
    (
        Panel(
            "llama-server: requests",
            "requests",
            (
                Curve("llamacpp:requests_processing", "{{instance}}: under way"),
                Curve("llamacpp:requests_deferred", "{{instance}}: waiting"),
            ),
            needs="llama-server",
        ),
        Panel(
            "llama-server: tokens",
            "tokens/s",
            (
                Curve(_by("instance", "llamacpp:prompt_tokens_total"), "{{instance}}: read"),
                Curve(_by("instance", "llamacpp:tokens_predicted_total"), "{{instance}}: written"),
            ),
            essential=True,
            needs="llama-server",
        ),
        Panel(
            "vLLM: requests",
            "requests",
            (
                Curve("sum by (instance) (vllm:num_requests_running)", "{{instance}}: under way"),
                Curve("sum by (instance) (vllm:num_requests_waiting)", "{{instance}}: waiting"),
            ),
            needs="vLLM",
        ),
        Panel(
            "vLLM: tokens",
            "tokens/s",
            (
                Curve(_by("instance", "vllm:prompt_tokens_total"), "{{instance}}: read"),
                Curve(_by("instance", "vllm:generation_tokens_total"), "{{instance}}: written"),
            ),
            essential=True,
            needs="vLLM",
        ),
        Panel(
            "vLLM: KV cache in use",
            "share",
            (Curve("max by (instance) (vllm:kv_cache_usage_perc)", "{{instance}}"),),
            "Near 1, requests wait, or begin anew.",
            essential=True,
            needs="vLLM",
        ),
        Panel(
            "vLLM: between two tokens, 95 of 100",
            "s",
            (Curve(_within(0.95, "vllm:inter_token_latency_seconds", "instance"), "{{instance}}"),),
            needs="vLLM",
        ),
        Panel(
            "Speed, as verified",
            "tokens/s",
            (Curve('ai_backend_route_tokens_per_second{clients="1"}', "{{route}}"),),
            "What one client gets, by the verifier's last measurement.",
            needs="a measured speed",
        ),
        Panel(
            "Memory of engines",
            "bytes",
            (Curve('ai_backend_engine_memory_bytes{kind="measured"}', "{{provider}}: {{memory}}"),),
        ),
    ),
)

_DISK = f'{{fstype!~"{NO_DISKS}"}}'

_HOST = Section(
    "Host",
    (
        Panel(
            "Processors in use",
            "share",
            (Curve(f'1 - avg(rate(node_cpu_seconds_total{{mode="idle"}}[{WINDOW}]))', "of all"),),
            essential=True,
        ),
        Panel(
            "Main memory",
            "bytes",
            (
                Curve("node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes", "in use"),
                Curve("node_memory_MemTotal_bytes", "all"),
            ),
            essential=True,
        ),
        Panel(
            "Space left on disks",
            "share",
            (Curve(f"node_filesystem_avail_bytes{_DISK} / node_filesystem_size_bytes{_DISK}", "{{mountpoint}}"),),
            essential=True,
            needs="a disk",
        ),
        Panel(
            "Network",
            "bytes/s",
            (
                Curve(_sum('node_network_receive_bytes_total{device!="lo"}'), "in"),
                Curve(_sum('node_network_transmit_bytes_total{device!="lo"}'), "out"),
            ),
        ),
        Panel(
            "Units that were started again within an hour",
            "",
            (Curve("increase(node_systemd_service_restart_total[1h])", "{{name}}"),),
        ),
    ),
)

_VERDICT = Section(
    "Verdict",
    (
        Panel("All checks pass", "", (Curve("ai_backend_verdict", "1 = yes"),), shown="number"),
        Panel(
            "Since the last verification",
            "s",
            (Curve("time() - ai_backend_verdict_timestamp_seconds", "since then"),),
            shown="number",
        ),
        Panel("Checks", "", (Curve("ai_backend_checks", "{{status}}"),)),
        Panel(
            "Checks that fail",
            "",
            (Curve("count by (subject) (ai_backend_check == 0)", "{{subject}}"),),
            needs="a check that fails",
        ),
        Panel(
            "Answers to the verification",
            "s",
            (Curve("ai_backend_route_latency_seconds", "{{check}}"),),
        ),
        Panel(
            "Alerts",
            "",
            (Curve('count by (alertname) (ALERTS{alertstate="firing"})', "{{alertname}}"),),
            needs="an alert",
        ),
        Panel(
            "Pages of metrics",
            "",
            (Curve("count(up)", "all"), Curve("sum(up)", "that can be read")),
        ),
    ),
)

_COST = Section(
    "Cost",
    (
        Panel(
            "Cost within a day, by client",
            "US dollars",
            (Curve("sum by (client) (increase(ai_backend_client_cost_dollars_total[1d]))", "{{client}}"),),
            "By the prices in the inventory, as counted at each verification.",
            needs="a price",
        ),
        Panel(
            "Budgets that are spent",
            "share",
            (
                Curve(
                    "ai_backend_client_budget_spent_dollars / ai_backend_client_budget_dollars",
                    "{{client}}, of the {{per}}",
                ),
            ),
            needs="a budget",
        ),
    ),
)

SECTIONS = (_REQUESTS, _LATENCY, _ERRORS, _ENGINES, CARDS, _HOST, _VERDICT, _COST)


def questions(url: str) -> Questions:
    """What the verifier asks Prometheus for its status page.

    Args:
        url: of Prometheus.
    """
    panels = (panel for section in SECTIONS for panel in section.panels)
    return Questions(url, tuple(Question(panel.title, panel.unit, panel.curves) for panel in panels if panel.essential))
