"""The plan of a gateway of two instances: what is shared, what differs, and what a change restarts."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
import yaml

from roles.contract.environment_file import parse_environment
from roles.litellm import LiteLLM
from roles.options import Client, EnvSecret, FileSecret, GeneratedSecret, OptionsError
from roles.plan import STAGED_FOLDER, STAGED_PORT, Generation, HostPlan, resolve
from roles.rooms import plan_of
from tests.stacks import PLATFORM, native, python, small_stack, user_scope

FRONT, A, B = "ai-backend-front.service", "litellm@a.service", "litellm@b.service"


def plan_with(**options: Any) -> HostPlan:
    return plan_of(small_stack(gateway=LiteLLM(**options)))


def generation_with(**options: Any) -> Generation:
    return resolve(plan_with(**options), PLATFORM, reveal=lambda _: "sk-x")


def changed_by(**options: Any) -> set[str]:
    before, after = generation_with().unit_digests, generation_with(**options).unit_digests
    return {unit for unit in {*before, *after} if before.get(unit) != after.get(unit)}


def text_of(plan: HostPlan, unit: str) -> str:
    return next(each.text for each in plan.units if each.name == unit)


def test_the_instances_differ_by_their_port_alone() -> None:
    plan = plan_with()
    first, second = text_of(plan, A), text_of(plan, B)
    assert first.replace(A, B).replace("--port 4001", "--port 4002") == second


def test_the_front_has_the_endpoint_and_the_instances_have_loopback() -> None:
    endpoints = {unit.name: (unit.endpoint.bind, unit.endpoint.port) for unit in plan_with(bind="0.0.0.0").servers}
    assert endpoints[FRONT] == ("0.0.0.0", 4000)
    assert (endpoints[A], endpoints[B]) == (("127.0.0.1", 4001), ("127.0.0.1", 4002))


@pytest.mark.parametrize(
    ("option", "value"), [("retries", 1), ("cooldown", 5), ("drain_timeout", 5), ("request_timeout", 60)]
)
def test_an_option_of_the_gateway_leaves_the_front_and_the_providers_alone(option: str, value: int) -> None:
    assert changed_by(**{option: value}) == {A, B}


def test_another_number_of_instances_leaves_the_providers_alone() -> None:
    assert changed_by(instances=1) == {B, "ai-backend-firewall.service"}


def test_the_clients_key_restarts_nothing_wherever_it_comes_from() -> None:
    for key in (EnvSecret("K"), FileSecret("k"), GeneratedSecret()):
        assert changed_by(master_key=key) == set()


def test_a_client_restarts_nothing_neither_the_first_nor_its_change_nor_its_end() -> None:
    stacks = [
        small_stack(gateway=LiteLLM(), clients=clients)
        for clients in (
            [],
            [Client(name="ada")],
            [Client(name="ada", key=EnvSecret("ADA"), rpm=5, routes=["n"], expires=date(2027, 1, 1))],
            [Client(name="bob", max_parallel=1)],
        )
    ]
    made = [resolve(plan_of(stack), PLATFORM, reveal=lambda _: "sk-x") for stack in stacks]
    assert len({generation.digest for generation in made}) == 4
    assert len({tuple(generation.unit_digests.items()) for generation in made}) == 1


def test_of_a_given_key_the_host_gets_the_digest() -> None:
    clients = [
        Client(name="ada", key=EnvSecret("ADA")),
        Client(name="bob-x", expires=date(2026, 12, 31)),
    ]
    plan = plan_of(small_stack(gateway=LiteLLM(), clients=clients))
    generation = resolve(plan, PLATFORM, reveal=lambda secret: f"sk-of-{secret.source()}")
    file = generation.files[f"env/{FRONT}.env"]
    variables = parse_environment(file.content.decode())
    assert file.mode == 0o600
    end = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())
    assert variables == {
        "INSTANCES": "2",
        "CLIENTS": f"ada:0 bob-x:{end}",
        "CLIENT_KEY_ada": hashlib.sha256(b"sk-of-environment variable ADA").hexdigest(),
    }
    assert not [path for path, file in generation.files.items() if b"sk-of" in file.content]


def test_the_gateway_gets_what_each_client_may_do_and_no_key() -> None:
    clients = [Client(name="ada", routes=["gpt-4o"], tpm=7), Client(name="bob", key=EnvSecret("BOB"))]
    text = plan_of(small_stack(clients=clients)).files["clients.json"]
    ada, bob = json.loads(text)["clients"]
    assert (ada["name"], ada["models"], ada["tpm"], ada["rpm"]) == ("ada", ["n", "gpt-4o"], 7, None)
    assert (bob["name"], bob["models"]) == ("bob", [])


def test_debians_own_haproxy_is_kept_off() -> None:
    plan = plan_with()
    assert "haproxy" in plan.packages
    assert plan.keep_off == ("haproxy.service",)


def test_the_staged_gateway_is_the_real_one_elsewhere() -> None:
    plan = plan_with()
    assert plan.staging is not None
    staged = plan.staging.text.replace(f"{STAGED_FOLDER}/", "/etc/ai-backend/").replace(STAGED_PORT, "4001")
    real = text_of(plan, A).splitlines()
    assert [line for line in real if line not in staged.splitlines()] == [
        "Description=LiteLLM gateway",
        "    --config /etc/ai-backend/litellm-unified.yaml \\",
        # Its requests are nobody's.
        "Environment=USAGE_FILE=/var/lib/ai-backend/usage/usage.sqlite",
        "# The count of requests, and nothing else of its own: in user scope it makes the folder itself.",
        "StateDirectory=ai-backend/usage",
        "StateDirectoryMode=0700",
        "Restart=always",
        "RestartSec=3",
    ]
    assert "/etc/ai-backend" not in plan.staging.text


def test_in_user_scope_requests_are_counted_in_the_users_own_folder() -> None:
    text = text_of(plan_of(small_stack(scope=user_scope(), gateway=LiteLLM(canary=False))), A)
    assert "Environment=USAGE_FILE=/home/alice/.local/state/ai-backend/usage/usage.sqlite" in text
    # An older systemd would make it below ~/.config.
    assert "StateDirectory" not in text


def test_the_verifier_is_told_of_all_units_and_how_to_ask_the_front() -> None:
    gateway = yaml.safe_load(plan_with().files["providers.yaml"])["gateway"]
    assert gateway["unit"] == FRONT
    assert [instance["unit"] for instance in gateway["instances"]] == [A, B]
    assert gateway["front"] == {
        "socket": "ai-backend-front/runtime.sock",
        "backend": "gateways",
        "servers": ["a", "b"],
        "keys": "ai-backend-front/keys",
        "key_files": ["/var/lib/ai-backend/secrets/master-key.env", f"env/{FRONT}.env"],
    }


@pytest.mark.parametrize(
    ("option", "port", "message"),
    [
        ("port", 65534, "end beyond 65535"),
        ("first_instance_port", 4000, "the endpoint's own `port`"),
        ("first_instance_port", 3999, "the endpoint's own `port`"),
    ],
)
def test_ports_that_can_not_be_are_refused(option: str, port: Any, message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        LiteLLM(**{option: port})


def test_a_provider_on_an_instances_port_is_refused() -> None:
    with pytest.raises(OptionsError, match='LlamaServer "native" both listen on port 4002'):
        small_stack(providers=[native(port=4002), python()], gateway=LiteLLM())
