"""Running the project's deploys on lab hosts, as a person would: the real pyinfra command line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.labhost import LabHost
from tests.labhost.paths import REPOSITORY

PYINFRA = Path(sys.executable).with_name("pyinfra")
TIMEOUT = 1800
"""Seconds. A first deploy with cold caches compiles llama.cpp, which takes 12 minutes of processor time."""

SMALL = REPOSITORY / "tests/lab/small.py"
"""The inventory that most tests begin with."""
HEADER = "from tests.lab.inventory import *\n"


OPERATIONS = [
    "Take the deploy lock",
    "Prepare the system",
    "Make installs",
    "Write the generation",
    "Stage the gateway",
    "Activate the generation",
    "Verify every route",
    "Give the deploy lock back",
]


@dataclass(frozen=True)
class Run:
    """A finished pyinfra run. `status` is negative when it was killed by that signal."""

    status: int
    output: str

    def results(self) -> dict[str, str]:
        """Operation → what pyinfra says became of it."""
        found = re.findall(r"--> Starting operation: (.*?) *\n(?:.*\n)*?.*\] (Success|No changes|Error)", self.output)
        return dict(found)

    def must_pass(self) -> Run:
        assert self.status == 0, self.output
        return self


def inventory_file(folder: Path, text: str) -> Path:
    """An inventory that changes something of the small stack."""
    path = folder / "changed.py"
    path.write_text(HEADER + text)
    return path


def deploy(
    host: LabHost,
    deploy: str = "full.py",
    *,
    inventory: Path | None = None,
    data: Mapping[str, str] | None = None,
    at: str | None = None,
    do: Callable[[], object] | None = None,
    timeout: float = TIMEOUT,
) -> Run:
    """Run a deploy on one host.

    Args:
        inventory: else the one of the small stack.
        data: what `--data` sets for all hosts.
        at: what pyinfra prints when `do` is to be called; none to do = pyinfra is killed with SIGKILL.
        timeout: seconds after which it is killed.
    """
    options = [option for key, value in (data or {}).items() for option in ("--data", f"{key}={value}")]
    process = subprocess.Popen(
        [str(PYINFRA), "-y", *options, str(inventory or SMALL), f"deploys/{deploy}"],
        cwd=REPOSITORY,
        env={**os.environ, "LAB_HOST": host.name, "PYINFRA_PROGRESS": "off", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(timeout, process.kill)
    watchdog.start()
    lines = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if at and at in line:
                at = None
                if do:
                    do()
                else:
                    process.send_signal(signal.SIGKILL)
        return Run(process.wait(), "".join(lines))
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()


def verdict(host: LabHost, *, verifier: str = "/etc/ai-backend/bin/verify", user: str = "root") -> dict[str, Any]:
    """What the host's own verifier says, as JSON."""
    done = host.run(f"{verifier} --json", user=user, check=False, timeout=300)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == {"pass": 0, "fail": 1, "unknown": 2}[found["status"]]
    return found


def failures(verdict: dict[str, Any]) -> list[str]:
    """The checks that do not hold, with what was seen."""
    return [f"{check['id']}: {check['seen']}" for check in verdict["checks"] if check["ok"] is not True]


def ask(host: LabHost, model: str, *, state: str = "/var/lib/ai-backend") -> str:
    """One chat through the gateway, asked on the host with curl and the generated key: what it answers."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 32})
    key = f"$(cut -d'\"' -f2 {state}/secrets/master-key.env)"
    command = (
        f"curl -sS --fail-with-body --max-time 60 http://127.0.0.1:4000/v1/chat/completions "
        f"-H \"Authorization: Bearer {key}\" -H 'Content-Type: application/json' -d '{body}'"
    )
    answer = json.loads(host.run(command, timeout=90).stdout)
    return str(answer["choices"][0]["message"]["content"])


def main_pids(host: LabHost, units: Sequence[str]) -> dict[str, str]:
    """Unit → its main process; one that was restarted has another."""
    return {unit: host.run(f"systemctl show -P MainPID '{unit}'").stdout.strip() for unit in units}


def files_changed_by(host: LabHost, change: Callable[[], object]) -> list[str]:
    """Files of the host's disk that a callable changes, but for logs, the verdict that each verification adds, and the
    count of requests."""
    host.run("touch /run/marker && sleep 0.1")
    change()
    # /run is memory, and the caches of uv and ccache are shared with other hosts, which may be writing there.
    caches = ("/var/cache/ai-backend/uv", "/var/cache/ai-backend/ccache")
    kept = ("/var/lib/ai-backend/verdicts*", "/var/lib/ai-backend/usage*")
    skipped = " ".join(f"-not -path '{path}'" for path in ("/proc/*", "/var/log/*", "/run", *kept, *caches))
    find = f"find / -xdev -newer /run/marker {skipped} -print"
    return host.run(find, check=False).stdout.split()
