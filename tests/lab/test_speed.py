"""The speed of a route on a real host: measured at a deploy, kept with the generation, and a slower one taken back.

Its model writes some 200 tokens a second on one thread; with 32 threads on two processors it writes some 20.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, Run, deploy, inventory_file
from tests.labhost import Lab, LabHost
from tests.labhost.faulty_mirror import FaultyMirror
from tests.labhost.models import Shape, write_tiny_gguf

pytestmark = pytest.mark.soak_only

_WORDS = [f"word{number}" for number in range(60)]
_SHAPE = Shape(width=512, layers=12, heads=8, key_value_heads=4, feed_forward=1536, half=True, alike=True)
_INVENTORY = """
model = UrlFile(url={url!r}, sha256={sha256!r})
stack = lab_stack(native={{"model": model, "threads": {threads}}}, native_says="word0 word1")
first = stack.routes[0].model_copy(update={{"speed": {speed!r}}})
hosts = [lab_host(stack.model_copy(update={{"routes": (first, stack.routes[1])}}))]
"""
_SPEED = r"first token after [0-9.]+ s; ([0-9.]+) tokens/s, [0-9.]+ for 4 clients(?:; reads [0-9.]+ tokens/s)?"
_TIMES = 20


class Measured:
    """A host with the small stack, whose native server has that model."""

    def __init__(self, host: LabHost, mirror: FaultyMirror, folder: Path) -> None:
        self.host = host
        self._mirror = mirror
        self._folder = folder

    def deploy(self, file: str = "full.py", *, threads: int = 1, speed: str = "fail") -> Run:
        model = self._mirror.folder / "model.gguf"
        sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        text = _INVENTORY.format(url=f"{self._mirror.url}/model.gguf", sha256=sha256, threads=threads, speed=speed)
        return deploy(self.host, file, inventory=inventory_file(self._folder, text))

    @property
    def active(self) -> str:
        return Path(self.host.run("readlink /etc/ai-backend").stdout.strip()).name


@pytest.fixture(scope="module")
def measured(lab: Lab, new_module_host: NewHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    served, folder = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("inventory")
    write_tiny_gguf(served / "model.gguf", says=" ".join(_WORDS), name="model", shape=_SHAPE)
    host = new_module_host("speed", prepared=True)
    address = lab.mirror_url.removeprefix("http://").partition(":")[0]
    with FaultyMirror(served, address) as mirror:
        yield Measured(host, mirror, folder)


def test_a_generation_that_makes_a_route_slower_is_named_and_taken_back(measured: Measured) -> None:
    measured.deploy().must_pass()
    before = measured.active
    slow = measured.deploy(threads=32)
    assert slow.status != 0
    found = re.search(rf"route/tiny-native/speed: ([0-9.]+) tokens/s, ([0-9.]+) in generation {before}", slow.output)
    assert found, slow.output
    print(f"{found[2]} tokens/s, and with 32 threads {found[1]}")
    assert f"Generation {before} is active again: " in slow.output
    assert measured.active == before
    shown = measured.deploy("history.py").must_pass().output
    assert len(re.findall(f"speed of tiny-native: {_SPEED}", shown)) == 2, shown
    assert re.search(r"; slower: [0-9.]+ tokens/s, ", shown), shown
    # Nothing has changed, so nothing is measured.
    again = measured.deploy().must_pass()
    assert again.results() == dict.fromkeys(OPERATIONS, "No changes")
    assert "is as fast as it should be" not in again.output


def test_what_is_measured_again_and_again_is_never_slower(measured: Measured) -> None:
    measured.deploy().must_pass()
    found: dict[str, list[float]] = {}
    for _ in range(_TIMES):
        done = measured.host.run("/etc/ai-backend/bin/verify --json --keep --speed", timeout=120)
        (speed,) = json.loads(done.stdout)["speeds"]
        assert (speed["slower"], speed["others"]) == ("", 0)
        for name, value in speed.items():
            if isinstance(value, float):
                found.setdefault(name, []).append(value)
    for name, values in found.items():
        middle = statistics.median(values)
        worst = max(abs(value - middle) for value in values) / middle
        print(f"{name}: {min(values)} to {max(values)}, median {middle}, at most {worst:.0%} from it")


def test_a_slower_one_that_is_only_reported_stays_with_a_warning(measured: Measured) -> None:
    measured.deploy().must_pass()
    before = measured.active
    slow = measured.deploy(threads=32, speed="report").must_pass()
    assert re.search("warning: route tiny-native is slower: [0-9.]+ tokens/s, ", slow.output), slow.output
    assert measured.active != before
