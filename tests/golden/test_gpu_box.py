"""What the reference inventory means for a host, file by file. `make golden` writes the expected files anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from roles.plan import ACTIVATION, WATCH_TIMER, HostPlan, Json, PlatformKey, resolve
from roles.plan.gpu_unit import gpu_files
from roles.rooms import plan_of
from tests.inventories import load_stack

_EXPECTED = Path(__file__).parent / "gpu-box"
_PLATFORM: dict[PlatformKey, str] = {
    "machine": "x86_64",
    "os": "debian-12",
    "python": "3.11.2",
    "cpu": "0" * 16,
    "gpu": "89",
}


def _rendered() -> dict[str, str]:
    """Path → text of everything that the stack means, for people: secrets by their source, digests by what they are."""
    plan = plan_of(load_stack("gpu-box.py", "gpu-box"))
    generation = resolve(plan, _PLATFORM, reveal=lambda secret: f"<{secret.source()}>")
    texts = {path: file.content.decode() for path, file in generation.files.items()}
    for unit, digest in generation.unit_digests.items():
        path = f"units/{unit}"
        assert texts[path].count(digest) == (0 if unit == WATCH_TIMER else 1)
        texts[path] = texts[path].replace(digest, "<digest of this unit>")
        texts[ACTIVATION] = texts[ACTIVATION].replace(digest, f"<digest of {unit}>")
    for source in (*gpu_files(), "bin/load-ollama-models"):
        del texts[source]  # sources of the project, as they are
    return {**texts, "installs.json": _installs(plan)}


def _installs(plan: HostPlan) -> str:
    shown = [
        {
            "name": install.name,
            "kind": install.kind,
            "title": install.title,
            "needs": list(install.needs),
            "platform": list(install.platform),
            "recipe": {key: _shortened(value) for key, value in install.recipe.document().items()},
        }
        for install in plan.installs
    ]
    return json.dumps({"packages": list(plan.packages), "installs": shown}, indent=2) + "\n"


def _shortened(value: Json) -> Json:
    if isinstance(value, str) and "\n" in value:
        pinned = [line.split()[0] for line in value.splitlines() if "==" in line and not line.startswith(" ")]
        return f"{len(pinned)} packages with hashes"
    if isinstance(value, dict):
        return {key: "…" if key.endswith((".py", ".j2", ".css")) else _shortened(item) for key, item in value.items()}
    return value


def test_the_reference_stack_renders_exactly_the_expected_files(pytestconfig: pytest.Config) -> None:
    rendered = _rendered()
    if pytestconfig.getoption("--write-golden"):
        shutil.rmtree(_EXPECTED, ignore_errors=True)
        for path, text in rendered.items():
            (_EXPECTED / path).parent.mkdir(parents=True, exist_ok=True)
            (_EXPECTED / path).write_text(text)
    expected = {
        str(path.relative_to(_EXPECTED)): path.read_text() for path in sorted(_EXPECTED.rglob("*")) if path.is_file()
    }
    assert sorted(rendered) == sorted(expected)
    for path, text in rendered.items():
        assert text == expected[path], f"{path} differs; if it should, run `make golden` and read the diff"
