"""The command by which a deploy asks a host's own verifier."""

from __future__ import annotations

import pytest

from roles.host.verification import HostVerdict


@pytest.mark.parametrize(
    ("more", "end"),
    [
        pytest.param((), "--json --keep", id="as usual"),
        pytest.param(("apis",), "--json --keep --apis", id="as client programs ask"),
        pytest.param(("apis=60",), "--json --keep --apis=60", id="as client programs ask, for a minute"),
        pytest.param(("faults",), "--json --keep --faults", id="fault injection"),
        pytest.param(("speed",), "--json --keep --speed", id="speed"),
        pytest.param(
            ("speed=changed", "apis=60"), "--json --keep --speed=changed --apis=60", id="speed and more, in a deploy"
        ),
    ],
)
def test_the_verifier_is_asked_for_what_is_wanted(more: tuple[str, ...], end: str) -> None:
    command = HostVerdict().command("/etc/ai-backend/bin/verify", more=more)
    assert command.get_raw_value() == f"/etc/ai-backend/bin/verify {end}"
