"""A pyinfra command that runs one of `roles.host.programs` on the host.

The program's text and its request travel on standard input. So they appear in no process list, log or shell history.
They may contain secrets and may have any size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, TypeVar

from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.exceptions import FactProcessError

from roles.contract.requests import Request
from roles.contract.wire import WireError, read, written
from roles.host.holder import who_runs_this
from roles.host.output import NO_ANSWER, decoded
from roles.host.supported import SUPPORTED

if TYPE_CHECKING:
    from pyinfra.api import Host, State
    from pyinfra.api.arguments import ConnectorArguments
    from pyinfra.connectors.util import CommandOutput

T = TypeVar("T")

PACKAGE = "roles.host.programs"

CALLERS_PATH = "AI_BACKEND_CALLERS_PATH"
"""Variable with the connection's original PATH, which may lead to a builder's compilers."""

CLEAN = (
    "unset LD_AUDIT LD_LIBRARY_PATH LD_PRELOAD PYTHONHOME PYTHONPATH PYTHONSTARTUP; "
    f'export {CALLERS_PATH}="$PATH" PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin;'
)
"""The start of every command on a host. The command may run as root with another user's environment, as through sudo.
It must not load a library, module or program from that user's folders instead of the system's."""

PYTHON = "/usr/bin/python3"
"""The host's own Python. With `-I` and `-S` it uses neither the working folder, nor a home, nor a `.pth` file."""

_NO_PYTHON, _OLD_PYTHON = "no-python", "old-python"
_OLDEST_PYTHON = (3, 11)

_BOOTSTRAP = (
    f"""
import sys
if sys.version_info < {_OLDEST_PYTHON}:
    names = [line.split("=")[1].strip() for line in open("/etc/os-release") if line.startswith("PRETTY_NAME=")]
    sys.exit(print("{_OLD_PYTHON}", sys.version.split()[0], *(name.strip('"') for name in names)))
"""
    + """
import importlib, importlib.machinery, json, os
os.umask(0o022)
# What it says holds names and log lines of others, in any bytes.
sys.stdout.reconfigure(errors="backslashreplace")
sent = json.load(sys.stdin)
class Sent:
    # The modules that came along: nothing of them is written to the host.
    def find_spec(name, path=None, target=None):
        if name in sent["modules"]:
            return importlib.machinery.ModuleSpec(name, Sent, is_package=name in sent["packages"])
    def create_module(spec):
        return None
    def exec_module(module):
        exec(compile(Sent.get_source(module.__name__), module.__name__, "exec"), module.__dict__)
    get_source = sent["modules"].get
sys.meta_path.insert(0, Sent)
load = importlib.import_module
program = load(sent["program"])
console, host_lock, deploy_lock = (
    load("roles.host.programs." + name) for name in ("console", "host_lock", "deploy_lock")
)
state = sent["state"]
try:
    request = load("roles.contract.wire").read(getattr(load(sent["shapes"]), sent["shape"]), sent["request"])
    with host_lock.one_at_a_time(state, sent["step"], sent["who"]):
        # Only now: whoever waits may lose the deploy lock meanwhile.
        deploy_lock.require(state, sent["lock"])
        program.main(request)
except console.HostError as error:
    sys.exit(str(error))
except OSError as error:
    sys.exit(console.described(error))
"""
)

_LOCK_KEY = "ai_backend_lock"
_SENT_PACKAGES = ("roles.contract", PACKAGE)
"""The packages that are sent, with everything below them."""


@cache
def _sources() -> tuple[Mapping[str, str], Sequence[str]]:
    """The text of each module that is sent, by its full name, and which of them are packages."""
    modules, packages = {"roles": "", "roles.host": ""}, ["roles", "roles.host"]

    def collect(folder: Traversable, package: str) -> None:
        packages.append(package)
        for found in folder.iterdir():
            name = found.name.removesuffix(".py")
            if found.is_dir() and (found / "__init__.py").is_file():
                collect(found, f"{package}.{name}")
            elif found.name.endswith(".py"):
                modules[package if name == "__init__" else f"{package}.{name}"] = found.read_text(encoding="utf-8")

    for package in _SENT_PACKAGES:
        collect(files(package), package)
    return modules, packages


def held_lock(host: Host) -> str | None:
    """This run's deploy lock on a host. Without it none of the run's steps changes anything there."""
    found: str | None = host.connector_data.get(_LOCK_KEY)
    return found


def hold_lock(host: Host, lock_id: str | None) -> None:
    host.connector_data[_LOCK_KEY] = lock_id


def payload(request: Request, lock_id: str | None = None) -> str:
    """What the bootstrap reads from standard input.

    Args:
        lock_id: the deploy lock that its run holds; none = the program needs none.
    """
    modules, packages = _sources()
    return json.dumps(
        {
            "modules": modules,
            "packages": packages,
            "program": f"{PACKAGE}.{request.program}",
            "shapes": type(request).__module__,
            "shape": type(request).__name__,
            "request": written(request),
            "state": request.state_folder,
            "step": request.program.rpartition(".")[2],
            "who": who_runs_this(),
            "lock": lock_id,
        }
    )


class StandardInput:
    """A fact's program on standard input. pyinfra prints the arguments of facts: this one shows only its program."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __str__(self) -> str:
        return self._request.program

    def __iter__(self) -> Iterator[str]:
        yield payload(self._request)

    def readlines(self) -> list[str]:
        return list(self)


def program_command(program: str) -> StringCommand:
    """The command that runs the program on its standard input; the program's name appears in the process list."""
    no_python = f'{_NO_PYTHON} $(. /etc/os-release; echo "$PRETTY_NAME"); exit 0; }};'
    return StringCommand(f"test -x {PYTHON} || {{ echo", no_python, python_command(_BOOTSTRAP, program))


def answer(shape: type[T], output: Sequence[str]) -> T:
    """The last line of a program's output, read as JSON.

    Raises:
        FactProcessError: the host cannot run our programs, or the JSON does not have the shape.
    """
    last = output[-1] if output else ""
    if last.startswith(_NO_PYTHON):
        system = last.removeprefix(_NO_PYTHON).strip()
        raise FactProcessError(
            f"this host{f' ({system})' if system else ''} has no python3, which everything here needs: install the "
            f"package python3, on {SUPPORTED}"
        )
    if last.startswith(_OLD_PYTHON):
        wanted = ".".join(map(str, _OLDEST_PYTHON))
        version, _, system = last.removeprefix(_OLD_PYTHON).strip().partition(" ")
        on = f" ({system})" if system else ""
        raise FactProcessError(f"its python3 is {version}{on}; {wanted} or newer is needed: take {SUPPORTED}")
    try:
        return read(shape, decoded(output[-1:]))
    except WireError:
        raise FactProcessError(NO_ANSWER) from None


def python_command(text: str, *arguments: str) -> StringCommand:
    """The command that runs a Python program with the standard library and nothing else."""
    return StringCommand(CLEAN, PYTHON, "-I", "-S", "-c", QuoteString(text), *map(QuoteString, arguments))


class HostProgram(PyinfraCommand):
    """Runs a request's program on the host and shows its progress meanwhile."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request

    def __repr__(self) -> str:
        return f"HostProgram({self.request.program})"

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> bool:
        status, _ = run_program(self.request, state, host, connector_arguments, show=True)
        return status


def run_program(
    request: Request, state: State, host: Host, connector_arguments: ConnectorArguments, *, show: bool
) -> tuple[bool, CommandOutput]:
    """Run a program on the host while an operation is executed.

    Args:
        show: print its output.
    """
    return host.run_shell_command(
        program_command(request.program),
        print_output=show,
        print_input=state.print_input,
        **{**connector_arguments, "_stdin": payload(request, held_lock(host))},
    )
