"""The monitoring's units and configuration, and what the others show once there is one."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppBuild
from roles.monitoring import Monitoring
from roles.options import EnvSecret, Gpus, OptionsError
from roles.plan import HostPlan, resolve
from roles.rooms import plan_of
from tests.stacks import BUILD, PLATFORM, native, python, route, small_stack, user_scope, vllm

PROMETHEUS = "ai-backend-prometheus.service"
UNITS = {PROMETHEUS, "ai-backend-alertmanager.service", "ai-backend-node-exporter.service"}
PACKAGES = {"prometheus", "prometheus-alertmanager", "prometheus-node-exporter"}
PORTS = ("port", "alertmanager_port", "exporter_port", "cards_port", "front_port")
CARDS = "ai-backend-gpu-metrics.service"

HIP_BUILD = LlamaCppBuild(name="llama-cpp-hip", source=BUILD.source, backend="hip")


def planned(monitoring: Monitoring | None = Monitoring(), **options: Any) -> HostPlan:  # noqa: B008  # immutable
    return plan_of(small_stack(monitoring=monitoring, **options))


def ports(*options: str, port: int) -> dict[str, Any]:
    return dict.fromkeys(options, port)


def text_of(plan: HostPlan, unit: str) -> str:
    return next(each.text for each in plan.units if each.name == unit)


def readings(plan: HostPlan) -> dict[str, dict[str, Any]]:
    """Job and instance of each page → how it is read."""
    config = yaml.safe_load(plan.files["monitoring/prometheus.yml"])
    return {each["job_name"]: each for each in config["scrape_configs"]}


def test_debians_programs_run_under_our_units_and_debians_own_are_kept_off() -> None:
    plan = planned()
    assert {unit.name for unit in plan.units} >= UNITS
    # By dbus node exporter asks systemd; Debian only recommends it.
    assert {*plan.packages} >= {*PACKAGES, "dbus"}
    assert {*plan.keep_off} >= {f"{package}.service" for package in PACKAGES}


def test_without_it_nothing_shows_metrics() -> None:
    plan = planned(None)
    assert PACKAGES.isdisjoint(plan.packages)
    assert {unit.name for unit in plan.units}.isdisjoint(UNITS)
    texts = [*plan.files.values(), *(unit.text for unit in plan.units)]
    assert not any("prometheus" in text.lower() or "--metrics" in text for text in texts)


def test_it_reads_every_page_that_the_stack_has_and_says_whose_it_is() -> None:
    providers = [native(), python(), vllm(gpus=None, kv_cache_memory_bytes="1G")]
    plan = planned(
        providers=providers,
        routes=[route(each.name, each.name) for each in providers],
        aliases={},
        gateway=LiteLLM(instances=3, port=4100),
    )
    found = readings(plan)
    assert {name: each["static_configs"][0]["targets"] for name, each in found.items()} == {
        "llama-server/native": ["127.0.0.1:8080"],
        "vllm/vllm": ["127.0.0.1:8001"],
        "haproxy/front": ["127.0.0.1:9101"],
        "litellm/litellm@a": ["127.0.0.1:4101"],
        "litellm/litellm@b": ["127.0.0.1:4102"],
        "litellm/litellm@c": ["127.0.0.1:4103"],
        "prometheus/prometheus": ["127.0.0.1:9090"],
        "alertmanager/alertmanager": ["127.0.0.1:9093"],
        "node/node": ["127.0.0.1:9100"],
    }
    assert found["litellm/litellm@b"]["static_configs"][0]["labels"] == {"job": "litellm", "instance": "litellm@b"}
    assert " --metrics \\\n" in text_of(plan, "llama-server@native.service").replace("    ", " ")


def test_cards_have_a_page_of_their_own_which_may_open_their_device_files_and_nothing_more() -> None:
    plan = planned(Monitoring(cards_port=9209), providers=[vllm()], routes=[route("v", "vllm")], aliases={})
    assert readings(plan)["cards/cards"]["static_configs"] == [
        {"targets": ["127.0.0.1:9209"], "labels": {"job": "cards", "instance": "cards"}}
    ]
    unit = text_of(plan, CARDS)
    assert "/etc/ai-backend/bin/gpu \\\n    serve \\\n    --port 9209\n" in unit
    for line in ("DynamicUser=yes", "DevicePolicy=closed", "DeviceAllow=char-nvidia* rw", "IPAddressDeny=any"):
        assert f"\n{line}\n" in unit
    # It waits for the driver, which nothing loads without a server that uses a card.
    assert "\nAfter=ai-backend-gpu.service\n" in unit
    assert 'tcp dport 9209 meta skuid != { "root", "ai-backend-prometheus" } reject' in plan.files["firewall.nft"]
    (found,) = (each for each in plan.units if each.name == CARDS)
    assert "lib/roles/host/programs/gpu/metrics.py" in found.reads
    assert {*found.reads} <= plan.files.keys()


@pytest.mark.parametrize("gpus", [None, Gpus(vendor="amd")], ids=["none", "of AMD"])
def test_without_a_card_of_nvidia_nothing_reads_cards(gpus: Gpus | None) -> None:
    plan = planned(providers=[native(**({"gpus": gpus, "build": HIP_BUILD} if gpus else {})), python()])
    assert CARDS not in {unit.name for unit in plan.units}
    assert "cards/cards" not in readings(plan)


def test_a_dcgm_exporter_of_the_host_is_read_too() -> None:
    plan = planned(Monitoring(dcgm_exporter="127.0.0.1:9400"))
    assert readings(plan)["dcgm/dcgm"]["static_configs"][0]["targets"] == ["127.0.0.1:9400"]
    assert "\nIPAddressDeny=any\n" in text_of(plan, PROMETHEUS)
    elsewhere = planned(Monitoring(dcgm_exporter="192.168.7.10:9400"))
    assert "IPAddressDeny" not in text_of(elsewhere, PROMETHEUS)


@pytest.mark.parametrize("address", ["localhost:9400", "127.0.0.1", "http://127.0.0.1:9400", "127.0.0.1:9400/metrics"])
def test_an_address_of_another_form_is_refused_with_the_right_one(address: str) -> None:
    with pytest.raises(OptionsError, match=r'"dcgm_exporter": .* such as "127.0.0.1:9400"'):
        Monitoring(dcgm_exporter=address)


@pytest.mark.parametrize("address", ["127.0.0.256:9400", "127.0.0.1:0", "127.0.0.1:70000"])
def test_an_address_that_cannot_exist_is_refused(address: str) -> None:
    with pytest.raises(OptionsError, match=r'"dcgm_exporter": .* is no address that exists'):
        Monitoring(dcgm_exporter=address)


def test_keys_for_pages_are_in_0600_files_alone() -> None:
    plan = planned(providers=[native(api_key=EnvSecret("NATIVE_KEY")), python()])
    generation = resolve(plan, PLATFORM, reveal=lambda secret: "the-key-itself")
    holding = {path: file.mode for path, file in generation.files.items() if b"the-key-itself" in file.content}
    assert holding.pop(f"env/{PROMETHEUS}.env") == 0o600
    assert {*holding.values()} == {0o600}
    found = readings(plan)
    files = {name: each["authorization"]["credentials_file"] for name, each in found.items() if "authorization" in each}
    assert files == {
        "llama-server/native": "/run/ai-backend-prometheus/NATIVE_API_KEY",
        "litellm/litellm@a": "/run/ai-backend-prometheus/INSTANCE_KEY",
    }
    started = text_of(plan, PROMETHEUS)
    assert (
        "/start-prometheus \\\n    NATIVE_API_KEY \\\n    INSTANCE_KEY \\\n    -- /usr/bin/prometheus \\\n" in started
    )
    assert "\nEnvironmentFile=/var/lib/ai-backend/secrets/instance-key.env\n" in started


def test_a_new_key_restarts_what_reads_with_it() -> None:
    plan = planned(providers=[native(api_key=EnvSecret("NATIVE_KEY")), python()])
    before = resolve(plan, PLATFORM, reveal=lambda _: "a" * 20).unit_digests
    after = resolve(plan, PLATFORM, reveal=lambda _: "b" * 20).unit_digests
    assert {name for name in UNITS if before[name] != after[name]} == {PROMETHEUS}


def test_what_asks_for_no_login_is_closed_to_all_but_prometheus() -> None:
    rules = re.findall(r'oif "lo" tcp dport (\d+) meta skuid != \{ (.*) \} reject', planned().files["firewall.nft"])
    prometheus = '"root", "ai-backend-prometheus"'
    assert {int(port): users for port, users in rules} == {
        4001: '"root", "ai-backend-front", "ai-backend-prometheus"',
        **dict.fromkeys((9090, 9093, 9100, 9101), prometheus),
    }


def test_what_it_keeps_is_bounded_by_time_and_space_and_its_programs_by_memory() -> None:
    plan = planned(Monitoring(keep_days=90, keep_size="10G", memory_max="2G"))
    started = text_of(plan, PROMETHEUS)
    for line in ("--storage.tsdb.retention.time=90d", "--storage.tsdb.retention.size=10GB"):
        assert f" {line} \\\n" in started
    assert "\nMemoryMax=2G\n" in started
    assert all("\nMemoryMax=256M\n" in text_of(plan, unit) for unit in UNITS - {PROMETHEUS})


def test_a_reading_takes_no_longer_than_the_time_between_two() -> None:
    config = yaml.safe_load(planned(Monitoring(interval=5)).files["monitoring/prometheus.yml"])
    assert config["global"]["scrape_timeout"] == "5s"
    assert config["global"]["external_labels"] == {"host": "${HOST_NAME}"}
    assert "\nEnvironment=HOST_NAME=%H\n" in text_of(planned(), PROMETHEUS)


def test_it_reaches_no_other_host_unless_a_server_listens_on_another_address() -> None:
    assert all("\nIPAddressDeny=any\n" in text_of(planned(), unit) for unit in UNITS)
    elsewhere = planned(providers=[native(bind="192.168.7.10"), python()])
    assert readings(elsewhere)["llama-server/native"]["static_configs"][0]["targets"] == ["192.168.7.10:8080"]
    assert "IPAddressDeny" not in text_of(elsewhere, PROMETHEUS)


def test_the_verifier_is_told_of_its_servers_and_of_the_fronts_further_port() -> None:
    manifest = yaml.safe_load(planned().files["providers.yaml"])
    assert {each["unit"] for each in manifest["services"]} == UNITS
    assert {each["kind"] for each in manifest["services"]} == {"monitoring"}
    assert manifest["gateway"]["metrics_port"] == 9101


def test_each_label_of_the_gateways_metrics_is_a_declared_name_or_a_status() -> None:
    settings = yaml.safe_load(planned().files["litellm-unified.yaml"])["litellm_settings"]
    assert "prometheus" in settings["callbacks"]
    labels = {label for group in settings["prometheus_metrics_config"] for label in group["include_labels"]}
    names = {"api_key_alias", "requested_model", "model_id", "fallback_model"}
    assert labels == {*names, "status_code", "exception_status"}
    assert settings["prometheus_metrics_max_series_per_metric"] == 2000


@pytest.mark.parametrize("option", PORTS)
def test_each_of_its_ports_is_its_own(option: str) -> None:
    other = "exporter_port" if option != "exporter_port" else "port"
    with pytest.raises(OptionsError, match="are 9999; they must differ"):
        Monitoring(**ports(option, other, port=9999))
    with pytest.raises(OptionsError, match="both listen on port 8080"):
        small_stack(monitoring=Monitoring(**ports(option, port=8080)))


def test_it_is_refused_in_user_scope_in_words() -> None:
    with pytest.raises(
        OptionsError, match=r'Monitoring "monitoring": it needs the system scope: .* remove `monitoring`'
    ):
        planned(scope=user_scope())


def test_it_belongs_in_an_option_of_its_own() -> None:
    with pytest.raises(OptionsError, match="which belongs in `monitoring`; move it there"):
        small_stack(services=[Monitoring()])
