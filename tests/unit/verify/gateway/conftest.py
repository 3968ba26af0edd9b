"""A host with the gateway double as its gateway: a generation, a proc file system, the verifier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from roles.verify.generation import Deployment, Gateway, Generation, Mode, Probe, Route, Service
from tests.deployed import route
from tests.gateway_double import BASE, DIGEST, GENERATION, KEY, PID, UNIT, Double, Verified


@pytest.fixture
def double() -> Iterator[Double]:
    with Double() as server:
        yield server


@pytest.fixture
def generation(double: Double, tmp_path: Path) -> Generation:
    key_file = tmp_path / "key.env"
    key_file.write_text(f'LITELLM_MASTER_KEY="{KEY}"\n')
    unit_file = tmp_path / "unit.service"
    unit_file.write_text(f"[Service]\nEnvironment=AI_BACKEND_DIGEST={DIGEST}\n")
    url = double.url
    service = Service(UNIT, "127.0.0.1", double.server_port, f"{url}/ready", 5, unit_file)
    folder = tmp_path / GENERATION
    folder.mkdir()
    (folder / "providers.yaml").touch()
    (folder / "providers.yaml").chmod(0o644)
    return Generation(
        folder=folder,
        config=folder,
        state=tmp_path / "state",
        scope="system",
        gateway=Gateway(service, url, key_file, "LITELLM_MASTER_KEY", key_file, "LITELLM_MASTER_KEY", url, cooldown=0),
        providers=(),
        routes=(_route("qwen", "chat", "gpt-4o"), _route("text", "completion"), _route("vector", "embedding")),
    )


def _route(name: str, mode: Mode, *aliases: str) -> Route:
    # With a slash at its end: LiteLLM and the inventory may spell an address either way.
    deployment = Deployment(f"{name}@backend", f"{BASE}/", "backend")
    probe = Probe("Who are you?", None, 64, timeout=10.0)
    return route(name, (deployment,), probe, mode=mode, aliases=aliases)


@pytest.fixture
def proc(double: Double, tmp_path: Path) -> Path:
    """A proc file system in which the double belongs to the gateway's unit."""
    proc = tmp_path / "proc"
    process = proc / str(PID)
    (process / "fd").mkdir(parents=True)
    for number in range(3, 23):
        (process / f"fd/{number}").touch()  # no link can be read there, as of one that is closed meanwhile
    (process / "fd/23").symlink_to("socket:[777]")
    (process / "comm").write_text("litellm\n")
    (process / "cgroup").write_text(f"0::/system.slice/{UNIT}\n")
    (process / "environ").write_text(f"PATH=/bin\0AI_BACKEND_DIGEST={DIGEST}\0")
    (proc / "net").mkdir()
    (proc / "net/tcp").write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        f"   0: 0100007F:{double.server_port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000"
        "     0        0 777 1 0000000000000000 100 0 0 10 0\n"
    )
    return proc


@pytest.fixture
def verified(generation: Generation, proc: Path) -> Verified:
    return Verified(generation, proc)
