"""A service from outside of `roles/` is planned, described to the verifier, checked, and on the page of options."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from roles.options import OptionsError, Service
from roles.plan import PlatformKey, ServerUnit, planners, register, resolve, rooms
from roles.rooms import plan_of
from roles.verify.checks.units import Readiness, Settled, unit_checks
from roles.verify.generation import Beside, Generation
from roles.verify.loading import load_generation
from roles.verify.verdict.claim import CannotCheck
from tests.golden.options_reference import options_reference
from tests.stacks import native, small_stack
from tests.toy_service import ROOM, StatusPage

UNIT = "toy@status-page.service"
_PLATFORM: dict[PlatformKey, str] = {
    "machine": "x86_64", "os": "debian-12", "python": "3.11.2", "cpu": "0" * 16, "gpu": "",
}  # fmt: skip


def read_by_the_verifier(folder: Path, **options: Any) -> Generation:
    """What the verifier knows of a stack with the page, from the files of its generation."""
    plan = plan_of(small_stack(services=[StatusPage(**options)]))
    for path, file in resolve(plan, _PLATFORM, reveal=lambda secret: "sk-" + "0" * 20).files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(file.content)
    return load_generation(folder)


def test_its_unit_has_the_frame_and_its_page_the_servers() -> None:
    plan = plan_of(small_stack(services=[StatusPage()]))
    (unit,) = [unit for unit in plan.units if unit.name == UNIT]
    assert isinstance(unit, ServerUnit)
    for line in (
        'Description=Status page "status-page"',
        "DynamicUser=yes",
        "ProtectSystem=strict",
        "IPAddressDeny=any",
    ):
        assert f"{line}\n" in unit.text
    assert "<li>litellm@a.service</li>" in plan.files["toy/status-page/index.html"]


def test_it_changes_no_unit_of_others() -> None:
    before = {unit.name: unit for unit in plan_of(small_stack()).units}
    after = {unit.name: unit for unit in plan_of(small_stack(services=[StatusPage()])).units}
    assert {name for name, unit in after.items() if before.get(name) != unit} == {UNIT}


def test_the_verifier_reads_it_from_the_manifest_and_checks_its_unit(tmp_path: Path) -> None:
    generation = read_by_the_verifier(tmp_path, port=8099)
    (page,) = generation.beside
    assert page == Beside("status-page", page.service, "status-page")
    assert (page.service.unit, page.service.port) == (UNIT, 8099)
    assert page.service in generation.services
    assert page.service.wanted_digest()
    settled = Settled(CannotCheck("no systemd"), {UNIT: Readiness(None, "200", 0.1)})

    async def ids() -> set[str]:
        checks = unit_checks(page.service, settled, CannotCheck("not read"), tmp_path)
        return {check.id for check in await asyncio.gather(*checks)}

    assert asyncio.run(ids()) == {f"unit/{UNIT}/{name}" for name in ("active", "enabled", "ready", "digest", "port")}


def test_the_page_of_options_lists_it_with_its_groups() -> None:
    text = options_reference()
    assert ROOM in rooms()
    assert "## Further services\n\n### `StatusPage`\n\nA page of status on loopback." in text
    assert "### `Look`" in text
    assert "### `StatusPage`" not in options_reference([room for room in rooms() if room is not ROOM])


def test_its_name_and_port_collide_with_those_of_others() -> None:
    with pytest.raises(OptionsError, match="both listen on port 4000"):
        small_stack(services=[StatusPage(port=4000)])


def test_a_provider_belongs_elsewhere() -> None:
    with pytest.raises(OptionsError, match="which belongs in `providers`; move it there"):
        small_stack(services=[native(name="more", port=9001)])


def test_a_service_that_no_room_has_registered_is_refused() -> None:
    class Unknown(Service):
        """Nobody plans it."""

    with pytest.raises(OptionsError, match="of a type that this version cannot plan"):
        plan_of(small_stack(services=[Unknown(name="unknown", port=9001)]))


def test_a_room_is_registered_once() -> None:
    assert StatusPage in planners()
    with pytest.raises(ValueError, match='two rooms are called "toy_service"'):
        register("toy_service", {})
