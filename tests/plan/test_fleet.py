"""Several hosts in one run: which comes first, and what becomes of the others when one is away."""

from __future__ import annotations

import re
from pathlib import Path

from tests.plan.fake import OLDER, passing_verdict, run_pyinfra

PASS = f"verdict={passing_verdict()!r}"
PREAMBLE = """
from roles.rooms import members_of
os.environ.setdefault("BACKEND_API_KEY", "sk-shared-by-both-hosts")
key = EnvSecret("BACKEND_API_KEY")
route_over = lambda *hosts: Route(name="n", deployments=[Deployment(provider=f"@fake/{host}/native") for host in hosts])
backend = lambda number: Stack(providers=[native(api_key=key)], address=f"10.0.1.{number}")
gateway = lambda *hosts: Stack(gateway=LiteLLM(instances=1), routes=[route_over(*hosts)], address="10.0.0.4")

def fleet(stacks, changes={}, **data):
    members = members_of({f"@fake/{name}": stack for name, stack in stacks.items()})
    return [
        fake(name, stack, changes.get(name, lambda read: None), member=members[f"@fake/{name}"], **data)
        for name, stack in stacks.items()
    ]
"""
THREE = "{'front': gateway('one', 'two'), 'one': backend(1), 'two': backend(2)}"
ALL_OLDER = (
    f"{{'front': {OLDER}, **dict.fromkeys(('one', 'two'), "
    "lambda read: read['units']['llama-server@native.service'].update(running_digest='0lder'))}"
)


def test_a_converged_fleet_gets_two_reads_a_host(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"{PREAMBLE}\nhosts = fleet({THREE}, {PASS})")
    assert run.status == 0, run.output
    assert [run.programs(f"@fake/{name}") for name in ("front", "one", "two")] == [["fact", "verify"]] * 3


def test_backends_are_activated_and_verified_before_their_gateways(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"{PREAMBLE}\nhosts = fleet({THREE}, {ALL_OLDER}, {PASS})")
    assert run.status == 0, run.output
    steps = [(host.removeprefix("@fake/"), command) for host, command in run.commands]
    first_of_front = next(n for n, (host, command) in enumerate(steps) if host == "front" and ".stage" in command)
    before = [host for host, command in steps[:first_of_front] if "bin/verify" in command]
    assert sorted(before) == ["one", "two"]
    assert run.steps("@fake/front") == ["deploy_lock", "stage", "forward", "verify", "record", "deploy_lock"]
    assert run.steps("@fake/one") == ["deploy_lock", "forward", "verify", "record", "deploy_lock"]


def test_each_host_of_an_inventory_is_planned_once_in_a_run(tmp_path: Path) -> None:
    """And not once for each other host."""
    counted = """
import roles.rooms
made = roles.rooms.compile_stack
def compile_stack(*given, **options):
    print("planned one")
    return made(*given, **options)
roles.rooms.compile_stack = compile_stack
"""
    run = run_pyinfra(tmp_path, f"{PREAMBLE}\nhosts = fleet({THREE}, {PASS})\n{counted}")
    assert run.status == 0, run.output
    assert run.output.count("planned one") == 3


def test_hosts_that_are_left_out_are_known_all_the_same(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"{PREAMBLE}\nhosts = fleet({THREE}, {PASS})", options=("--limit", "@fake/front"))
    assert run.status == 0, run.output
    assert {host for host, _ in run.commands} == {"@fake/front"}


def test_a_host_that_is_away_does_not_stop_the_others_and_is_said(tmp_path: Path) -> None:
    away = "('127.0.0.1', {'stack': backend(3), 'ssh_port': 9, 'ssh_user': 'nobody', 'ssh_connect_retries': 0})"
    run = run_pyinfra(tmp_path, f"{PREAMBLE}\nhosts = [*fleet({THREE}, {ALL_OLDER}, {PASS}), {away}]")
    assert run.steps("@fake/front") == ["deploy_lock", "stage", "forward", "verify", "record", "deploy_lock"]
    assert re.search(r"\[127\.0\.0\.1\].*(refused|Could not connect)", run.output)
    assert run.status != 0 or "127.0.0.1" in run.output


def test_what_cannot_be_resolved_ends_the_run_before_any_command(tmp_path: Path) -> None:
    stacks = "{'front': gateway('one', 'three'), 'one': backend(1)}"
    run = run_pyinfra(
        tmp_path,
        f"{PREAMBLE}\nhosts = [(f'@fake/{{name}}', {{'stack': stack}}) for name, stack in {stacks}.items()]",
    )
    assert run.status == 1
    assert 'names the provider "@fake/three/native", and the inventory has no host "@fake/three"' in run.output
    assert not run.commands
    assert "Traceback" not in run.output
