"""`python -m tests.lab.broken_configs_table [WAY…]`: which layer catches which broken configuration.

Each way is deployed to a lab host that runs the whole stack, with the pinned LiteLLM: as it is, and without the lint.
Prints the table of `docs/broken-configurations.md`; takes half an hour.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from roles.lint import RULES
from tests.lab.broken_configs import WAYS
from tests.lab.deploys import Run, ask, deploy, inventory_file
from tests.lab.inventory import LAB, says
from tests.labhost import LabHost

SAYS = {
    "tiny-native": says("native.gguf"),
    "tiny-python": says("python.gguf"),
    "tiny-ollama:latest": says("ollama.gguf"),
}


def main(names: Sequence[str]) -> int:
    host = LAB.create(f"broken-{os.getpid()}", owner=os.getpid())
    try:
        with tempfile.TemporaryDirectory() as folder:
            print("| what is wrong | what LiteLLM does with it | the lint | without the lint |\n|---|---|---|---|")
            _deploy(host, Path(folder), "sound_host()").must_pass()
            for name in names or WAYS:
                way = WAYS[name]
                cells = [way.what, way.comes_of_it, *_caught(host, Path(folder), name)]
                print(f"| {' | '.join(cells)} |", flush=True)
    finally:
        host.destroy()
    return 0


def _caught(host: LabHost, folder: Path, name: str) -> tuple[str, str]:
    """Which rule of the lint, and what without the lint; the host answers as before after each."""
    found = _deploy(host, folder, f"broken_host({name!r})")
    told = re.findall(r"\[([a-z0-9-]+)\]", found.output.partition("does not work")[2])
    rules = [f"`{rule.id}`" for rule in RULES if rule.id in told]
    by_the_lint = ", ".join(rules) or "no"
    # Without one a run goes on to the other layers.
    run = _deploy(host, folder, f"broken_host({name!r}, lint=False)")
    without = _told(run)
    if run.status == 0:
        _deploy(host, folder, "sound_host()").must_pass()
    answers = {model: ask(host, model) for model in SAYS}
    assert answers == SAYS, (name, answers, run.output)
    return by_the_lint, without


def _told(run: Run) -> str:
    said = run.output
    if run.status == 0:
        return "not seen"
    if "the new gateway does not do what it should" in said:
        if "does not stay up" in said or "did not answer within" in said:
            return "staged start: does not come up"
        checks = re.findall(r"^.*?    (.+? (?:answers|offers|lists|refuses|does)[^:]*): ", said, re.MULTILINE)
        return f"staged start: {checks[0] if checks else 'a check fails'}"
    if found := re.search(r"failed: (\d+ of \d+ checks fail)", said):
        return f"verification: {found[1]}; taken back"
    return "does not come up after the switch; taken back"


def _deploy(host: LabHost, folder: Path, hosts: str) -> Run:
    text = f"from tests.lab.broken_configs import broken_host, sound_host\nhosts = {hosts}\n"
    return deploy(host, inventory=inventory_file(folder, text))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
