"""TLS on the endpoint: what is refused, and what it means for the plan."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from roles.litellm import Cors, LiteLLM, Tls
from roles.litellm.tls import JOIN, RENEWAL_UNIT, RENEWAL_WATCH
from roles.options import Options, OptionsError
from roles.plan import HostPlan, TimerUnit, TriggeredUnit
from roles.rooms import plan_of
from tests.stacks import native, python, small_stack, user_scope

GIVEN: dict[str, Any] = {
    "certificate": "/etc/ssl/ai.pem",
    "key": "/etc/ssl/private/ai.key",
    "server_name": "ai.example.com",
}
FRONT = "ai-backend-front.service"


def plan_with(stack: dict[str, Any] | None = None, **options: Any) -> HostPlan:
    return plan_of(small_stack(gateway=LiteLLM(**{"tls": Tls(**GIVEN), **options}), **(stack or {})))


def bound(plan: HostPlan) -> list[str]:
    return [line.strip() for line in plan.files["front.cfg"].splitlines() if line.strip().startswith("bind ")]


@pytest.mark.parametrize(
    ("group", "given", "message"),
    [
        pytest.param(Tls, {"key": "/etc/ssl/ai.pem"}, "give each a file of its own", id="one file for both"),
        pytest.param(Tls, {"key": "ai.key"}, "is no whole path on", id="a path that is not absolute"),
        pytest.param(Tls, {"key": "/etc/../x.key"}, "begins with a dot", id="a path that leads up"),
        pytest.param(Tls, {"key": "/etc/a b.key"}, "is no whole path", id="a path with a space"),
        pytest.param(Tls, {"server_name": "https://ai"}, "is no DNS name", id="an address for the name"),
        pytest.param(Tls, {"server_name": "*.example.com"}, "is no DNS name", id="a wildcard for the name"),
        pytest.param(Tls, {"warn_days": 0}, "at least 1", id="no days"),
        pytest.param(Cors, {"origins": ["chat.example.com"]}, "no web origin", id="an origin without a scheme"),
        pytest.param(Cors, {"origins": ["https://a/b"]}, "no web origin", id="an origin with a path"),
        pytest.param(Cors, {"origins": ["https://*.a"]}, "no web origin", id="an origin with a wildcard"),
    ],
)
def test_what_can_never_work_is_refused(group: type[Options], given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        group(**{**(GIVEN if group is Tls else {}), **given})


@pytest.mark.parametrize("port", [4000, 4001, 4002])
def test_the_local_port_is_a_port_of_its_own(port: int) -> None:
    with pytest.raises(OptionsError, match="give another `local_port`"):
        LiteLLM(tls=Tls(**GIVEN, local_port=port))
    with pytest.raises(OptionsError, match='LlamaServer "native" both listen on port 4009'):
        small_stack(providers=[native(port=4009), python()], gateway=LiteLLM(tls=Tls(**GIVEN)))


def test_a_key_in_a_home_is_refused_where_the_units_cannot_see_it() -> None:
    tls = Tls(**{**GIVEN, "key": "/root/acme/ai.key"})
    with pytest.raises(OptionsError, match="is in a home folder"):
        plan_with(tls=tls)


def test_clients_get_tls_and_the_host_itself_asks_on_loopback() -> None:
    plan = plan_with(bind="0.0.0.0")
    public, local = bound(plan)
    assert public == "bind 0.0.0.0:4000 ssl crt /var/lib/ai-backend/tls/endpoint.pem alpn h2,http/1.1"
    assert local == "bind 127.0.0.1:4009"
    (front,) = (server for server in plan.servers if server.name == FRONT)
    assert front.endpoint.ready_url == "http://127.0.0.1:4009/ai-backend-front"
    assert front.endpoint.ports == (4000, 4009)
    gateway = yaml.safe_load(plan.files["providers.yaml"])["gateway"]
    assert gateway["url"] == "http://127.0.0.1:4009"
    assert gateway["tls"] == {
        "certificate": GIVEN["certificate"],
        "server_name": GIVEN["server_name"],
        "warn_days": 14,
        "local_port": 4009,
        "renewal": RENEWAL_UNIT,
        "watch": RENEWAL_WATCH,
    }
    assert plan.host_files == (GIVEN["certificate"], GIVEN["key"])
    assert "openssl" in plan.packages


def test_without_tls_nothing_of_it_is_there() -> None:
    plan = plan_with(tls=None)
    assert bound(plan) == ["bind 127.0.0.1:4000"]
    assert "ssl" not in plan.files["front.cfg"]
    assert JOIN not in plan.files
    assert plan.host_files == ()
    assert not {RENEWAL_UNIT, RENEWAL_WATCH} & {unit.name for unit in plan.units}


def test_a_change_of_either_file_gives_the_front_both() -> None:
    plan = plan_with()
    units = {unit.name: unit for unit in plan.units}
    watch, renewal = units[RENEWAL_WATCH], units[RENEWAL_UNIT]
    assert isinstance(watch, TimerUnit)
    assert isinstance(renewal, TriggeredUnit)
    watched = [line for line in watch.text.splitlines() if line.startswith(("PathChanged=", "Unit="))]
    paths = [GIVEN["certificate"], GIVEN["key"], "/etc/ssl", "/etc/ssl/private"]
    assert watched == [*(f"PathChanged={path}" for path in paths), f"Unit={RENEWAL_UNIT}"]
    run = f"{GIVEN['certificate']} \\\n    {GIVEN['key']} \\\n    /var/lib/ai-backend/tls/endpoint.pem \\\n"
    run += "    ai-backend-front \\\n    %t/ai-backend-front/runtime.sock\n"
    assert run in renewal.text
    assert run in units[FRONT].text
    assert "ExecStartPre=-+/usr/bin/python3" in units[FRONT].text


def test_a_low_port_gives_the_front_a_right_to_it_and_the_instances_another() -> None:
    plans = [plan_with(port=port) for port in (443, 4000)]
    low, high = ({server.name: server for server in plan.servers} for plan in plans)
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE\n" in low[FRONT].text
    assert "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n" in low[FRONT].text
    assert "PrivateUsers=yes" not in low[FRONT].text
    assert "CapabilityBoundingSet=\n" in high[FRONT].text
    assert "AmbientCapabilities" not in high[FRONT].text
    assert "PrivateUsers=yes\n" in high[FRONT].text
    assert [low[name].endpoint.port for name in ("litellm@a.service", "litellm@b.service")] == [4001, 4002]
    assert low[FRONT].endpoint.ports == (443, 4009)


def test_in_user_scope_the_user_reads_them_herself() -> None:
    home = {**GIVEN, "certificate": "/home/alice/tls/ai.pem", "key": "/home/alice/tls/ai.key"}
    plan = plan_with({"scope": user_scope()}, tls=Tls(**home))
    front, renewal = (next(unit for unit in plan.units if unit.name == name) for name in (FRONT, RENEWAL_UNIT))
    assert "ExecStartPre=-/usr/bin/python3" in front.text
    assert '    "" \\\n    %t/ai-backend-front/runtime.sock' in renewal.text
    assert "CapabilityBoundingSet" not in renewal.text


@pytest.mark.parametrize(
    ("origins", "rule"),
    [
        pytest.param(["*"], "str(*) if { req.hdr(origin) -m found }", id="all"),
        pytest.param(["https://a"], "req.hdr(origin) if { req.hdr(origin) -m str https://a }", id="some"),
        pytest.param([], None, id="none"),
    ],
)
def test_who_may_call_from_a_browser(origins: list[str], rule: str | None) -> None:
    config = plan_with(cors=Cors(origins=origins)).files["front.cfg"]
    found = [line.strip() for line in config.splitlines() if "set-var(txn.origin)" in line]
    assert found == ([f"http-request set-var(txn.origin) {rule}"] if rule else [])


def test_hsts_is_said_on_demand_and_over_tls_alone() -> None:
    said = "http-after-response set-header Strict-Transport-Security max-age=31536000 if { ssl_fc }"
    assert said in plan_with(tls=Tls(**GIVEN, hsts=True)).files["front.cfg"]
    assert "Strict-Transport-Security" not in plan_with().files["front.cfg"]
