"""A pyinfra command that runs one of `roles.host.programs` on the host.

The program's text and its request travel on standard input: nothing of them shows in a process list, a log or a shell
history, and they may hold secrets and be of any size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.command import PyinfraCommand

from roles.host.holder import who_runs_this
from roles.plan import Json

if TYPE_CHECKING:
    from pyinfra.api import Host, State
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.connectors.util import CommandOutput

PACKAGE = "roles.host.programs"

CALLERS_PATH = "AI_BACKEND_CALLERS_PATH"
"""Variable with the PATH that the connection came with: a builder's compilers may lie there."""

CLEAN = (
    "unset LD_AUDIT LD_LIBRARY_PATH LD_PRELOAD PYTHONHOME PYTHONPATH PYTHONSTARTUP; "
    f'export {CALLERS_PATH}="$PATH" PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin;'
)
"""What every command on a host begins with. It may run as root with the environment of another user, as through sudo:
no library, module or program that one of their folders holds is to be taken for the system's."""

PYTHON = "/usr/bin/python3"
"""The host's own. With `-I` and `-S` it takes nothing from the working folder, a home or a `.pth` file."""

_BOOTSTRAP = """
import importlib.machinery, json, os, sys, types
os.umask(0o022)
# What it says holds names and log lines of others, in any bytes.
sys.stdout.reconfigure(errors="backslashreplace")
sent = json.load(sys.stdin)
class Sent:
    get_source = sent["modules"].get
for name, text in sent["modules"].items():
    module = sys.modules[name] = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, Sent)
    module.__path__ = []
    exec(compile(text, name, "exec"), module.__dict__)
program = sys.modules[sent["program"]]
console = sys.modules["roles.host.programs.console"]
turn = sys.modules["roles.host.programs.turn"]
lock = sys.modules["roles.host.programs.lock"]
state = sent["request"].get("state")
try:
    with turn.one_at_a_time(state, sent["step"], sent["who"]):
        # Once it is this step's turn: whoever waits may lose the lock meanwhile.
        lock.require(state, sent["lock"])
        program.main(sent["request"])
except console.HostError as error:
    sys.exit(str(error))
except OSError as error:
    sys.exit(console.described(error))
"""

_LOCK_KEY = "ai_backend_lock"

_ORDER = (
    "console", "manifest", "below", "files", "turn", "lock", "confined", "processes", "handover", "archive", "unpack",
    "systemd", "download", "hub", "uv_tool", "ggml", "python_env", "toolkits", "source_build", "release", "receive",
    "install", "system", "generation", "kept", "record", "front", "activate", "rollback", "forward", "stage", "prune",
)  # fmt: skip
"""The programs, each after those it imports."""


@cache
def program_text(name: str) -> str:
    """The source of `roles/host/programs/<name>.py`."""
    return (files(PACKAGE) / f"{name}.py").read_text()


def held_lock(host: Host) -> str | None:
    """The deploy lock that this run holds on a host, without which none of its steps does anything there."""
    found: str | None = host.connector_data.get(_LOCK_KEY)
    return found


def hold_lock(host: Host, lock_id: str | None) -> None:
    host.connector_data[_LOCK_KEY] = lock_id


def payload(program: str, request: Mapping[str, Any], lock_id: str | None = None) -> str:
    """What the bootstrap reads from standard input.

    Args:
        lock_id: the deploy lock that its run holds; none = it needs none.
    """
    modules = {"roles": "", "roles.host": "", PACKAGE: ""}
    modules |= {f"{PACKAGE}.{name}": program_text(name) for name in _ORDER}
    sent = {"modules": modules, "program": f"{PACKAGE}.{program}", "request": request}
    return json.dumps({**sent, "step": program, "who": who_runs_this(), "lock": lock_id})


def python_command(text: str, *arguments: str) -> StringCommand:
    """The command that runs a Python program with the standard library and nothing else."""
    return StringCommand(CLEAN, PYTHON, "-I", "-S", "-c", QuoteString(text), *map(QuoteString, arguments))


class HostProgram(PyinfraCommand):
    """`roles.host.programs.<program>.main(request)` on the host; its progress is shown while it runs."""

    def __init__(self, program: str, request: Mapping[str, Json]) -> None:
        super().__init__()
        self.program = program
        self._request = request

    def __repr__(self) -> str:
        return f"HostProgram({self.program})"

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> bool:
        status, _ = run_program(self.program, self._request, state, host, connector_arguments, show=True)
        return status


def run_program(
    program: str,
    request: Mapping[str, Json],
    state: State,
    host: Host,
    connector_arguments: ConnectorArguments,
    *,
    show: bool,
) -> tuple[bool, CommandOutput]:
    """Run a program on the host while an operation is executed.

    Args:
        show: print what it says.
    """
    return host.run_shell_command(
        python_command(_BOOTSTRAP, program),
        print_output=show,
        print_input=state.print_input,
        **{**connector_arguments, "_stdin": payload(program, request, held_lock(host))},
    )
