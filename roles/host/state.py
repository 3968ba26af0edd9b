"""A host's state and what it runs: one fact, one round trip."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand

from roles.contract.driver import DriverState, ReadDriver
from roles.contract.state import HostState, ReadState
from roles.host.program import answer, program_command
from roles.plan import HostPlan, TaskUnit, unit_prefix

BUILD_USER = "ai-backend-build"
"""The user that compiles and installs packages in system scope: third-party build scripts get no other rights."""
SHARED_MEMORY = "/dev/shm"


def state_request(plan: HostPlan) -> ReadState:
    """What to read of a host for a plan."""
    layout = plan.layout
    system = layout.scope == "system"
    return ReadState(
        scope=layout.scope,
        config=layout.config,
        generations=layout.generations,
        state=layout.state,
        units_folder=layout.units,
        wanted_by=layout.wanted_by,
        disk_folders=(layout.installs, layout.state, layout.cache, SHARED_MEMORY),
        marked_folders=(layout.installs, f"{layout.state}/models", layout.models_links),
        packages=plan.packages,
        users=plan.users if system else (),
        build_user=BUILD_USER if system else None,
        gpus=bool(plan.gpus),
        toolkits=tuple(sorted({needs.toolkit for needs in plan.card_needs if needs.toolkit is not None})),
        cpu_flags=tuple(sorted({flag for install in plan.installs for flag in install.cpu_flags})),
        units={unit.name: unit.done_file if isinstance(unit, TaskUnit) else None for unit in plan.units},
        effect_commands={task.name: task.effect_command for task in plan.tasks if task.effect_command},
        secrets=tuple(secret.path for secret in plan.generated_secrets),
        ports=tuple(port for unit in plan.servers for port in unit.endpoint.ports),
        installs=layout.installs,
        cache=layout.cache,
        taken_over=layout.taken_over,
        other_units=plan.keep_off if system else (),
        dynamic_users=tuple(sorted({unit_prefix(unit.name) for unit in plan.servers})) if system else (),
    )


class StackState(FactBase[HostState]):
    """The host's state as far as a plan needs it. Reads only.

    Asked with `_stdin=StandardInput(state_request(plan))`.
    """

    def command(self) -> StringCommand:
        return program_command(ReadState.program)

    def process(self, output: list[str]) -> HostState:
        return answer(HostState, output)


class FoundDriver(FactBase[DriverState]):
    """What is there of the graphics driver. Reads only.

    Asked with `_stdin=StandardInput(ReadDriver(…))`.
    """

    def command(self) -> StringCommand:
        return program_command(ReadDriver.program)

    def process(self, output: list[str]) -> DriverState:
        return answer(DriverState, output)
