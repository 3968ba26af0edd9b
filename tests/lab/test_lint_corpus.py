"""The lint's corpus on the pinned LiteLLM: the table of what it does is true. No lab host is needed."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.lint_corpus.entries import MODULES, all_entries
from tests.lint_corpus.verdict import RELEASE, table

pytestmark = pytest.mark.soak_only

_REPOSITORY = Path(__file__).parents[2]
_LOCK = _REPOSITORY / f"roles/litellm/locks/litellm-{RELEASE}.txt"
_SAMPLE = 10
_PORT = 15_710
_LONGEST_S = 120


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the pinned LiteLLM."""
    folder = tmp_path_factory.mktemp("litellm") / "venv"
    uv = _REPOSITORY / ".tools/bin/uv"
    subprocess.run([uv, "venv", "--quiet", "--python", "python3", folder], check=True)
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", folder / "bin/python", "--require-hashes", "-r", _LOCK],
        check=True,
    )
    return folder / "bin/python"


@pytest.mark.parametrize("module", MODULES)
def test_litellm_does_with_each_configuration_what_the_table_says(python: Path, module: str) -> None:
    command = [str(python), "-m", "tests.lint_corpus.start", f"{module}/"]
    done = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, check=True)
    seen = {row["name"]: row["outcome"] for row in map(json.loads, done.stdout.splitlines())}
    assert seen == {name: row["outcome"] for name, row in table().items() if name.startswith(f"{module}/")}


def test_a_sample_that_the_command_starts_alone_agrees(python: Path, tmp_path: Path) -> None:
    names = sorted(all_entries())
    for name in names[:: len(names) // _SAMPLE]:
        assert _starts(python, name, tmp_path) == (table()[name]["outcome"] != "stops"), name


def _starts(python: Path, name: str, folder: Path) -> bool:
    """Whether `litellm --config FILE` comes to answer."""
    entry = all_entries()[name]
    for file, text in {"config.yaml": entry.document, **entry.files}.items():
        (folder / file).write_text(text)
    environment: Mapping[str, str] = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
        **entry.variables,
    }
    command: list[str | Path] = [
        python.with_name("litellm"),
        "--config",
        "config.yaml",
        "--host",
        "127.0.0.1",
        "--port",
        str(_PORT),
    ]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            end = time.monotonic() + _LONGEST_S
            while process.poll() is None and time.monotonic() < end:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{_PORT}/health/liveliness", timeout=5)
                except (urllib.error.URLError, ConnectionError, TimeoutError):
                    time.sleep(0.5)
                else:
                    return True
            return False
        finally:
            process.kill()
