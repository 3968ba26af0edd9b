"""Requests to the programs that run on a host, and the output of those that answer.

A request names its program: `roles.host.programs.<program>` has a `main(request)` that takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from roles.contract.generation import GeneratedVariable, Scope
from roles.contract.outbound import WayOut
from roles.contract.recipes import Recipe

Holder: TypeAlias = Mapping[str, str]
"""The holder of the deploy lock: `id`, `who`, `since`, and what identifies its process to see whether it still runs."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request to any program."""

    program: ClassVar[str]

    @property
    def state_folder(self) -> str | None:
        """The layout's state folder, if the program must be alone on the host; none = it changes nothing that another
        program looks at."""
        return None


@dataclass(frozen=True, kw_only=True)
class ChangeRequest(Request):
    """A request to a program that changes the host: one at a time, while its run holds the deploy lock."""

    state: str

    @property
    def state_folder(self) -> str | None:
        return self.state


@dataclass(frozen=True, kw_only=True)
class AcquireLock(Request):
    """Take the deploy lock.

    Attributes:
        folder: the lock's.
        take_over: id of a lock whose run is known to be dead.
    """

    program = "deploy_lock"

    folder: str
    holder: Holder
    take_over: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReleaseLock(Request):
    """Release the deploy lock, if it has that id; none = any lock."""

    program = "deploy_lock"

    folder: str
    id: str | None


@dataclass(frozen=True, kw_only=True)
class ModelsFolder:
    """A folder of another disk that models are in.

    Attributes:
        link: the link by which installs are reached there.
        shown: its units see it although they may not enter the folders above.
    """

    path: str
    link: str
    shown: bool


@dataclass(frozen=True, kw_only=True)
class PrepareSystem(ChangeRequest):
    """Install packages, create users and folders.

    Attributes:
        packages: the missing ones.
        keep_off: units that come with them and must not start.
        build_user: the user for builds; none = the user of the program.
        users: missing system users that units run as.
        cache: the layout's.
        folders: path and mode of each.
        lingering: let the user's services run without a login.
        models_folder: where models are, if not in a folder of the state.
        way_out: how packages are reached; none = directly.
    """

    program = "system"

    packages: tuple[str, ...]
    keep_off: tuple[str, ...]
    build_user: str | None
    users: tuple[str, ...]
    cache: str
    folders: tuple[tuple[str, int], ...]
    lingering: bool
    models_folder: ModelsFolder | None = None
    way_out: WayOut | None = None


@dataclass(frozen=True, kw_only=True)
class UvTool:
    """The uv that makes environments: its folder, and its hash-locked requirements."""

    folder: str
    requirements: str


@dataclass(frozen=True, kw_only=True)
class MakeInstall(ChangeRequest):
    """Make one install.

    Attributes:
        folder: its target.
        recipe: how it is made, with the folders of the installs that it needs.
        token: for a repository that requires one.
        cache: the layout's.
        build_user: the user for builds; none = the user of the program.
        copies: how many copies of a model its server makes below `state`: there must be room for them too.
        way_out: how what it is made of is reached; none = directly.
    """

    program = "installers.install"

    title: str
    folder: str
    recipe: Recipe
    token: str | None
    cache: str
    build_user: str | None
    uv: UvTool
    copies: int = 0
    way_out: WayOut | None = None


@dataclass(frozen=True, kw_only=True)
class UnpackArchive(Request):
    """Unpack an archive below a folder.

    Attributes:
        into: a folder below that one, created if missing.
        strip: number of leading folders to drop from the archive's paths.
    """

    program = "installers.archive"

    archive: str
    folder: str
    into: str = "."
    strip: int = 0


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of a file: its offset, the size of the whole file, and its bytes in base64."""

    offset: int
    size: int
    data: str


@dataclass(frozen=True, kw_only=True)
class ReceiveFile(ChangeRequest):
    """Append a piece to a file, and print how many bytes are there; none = only print. `copies` as in `MakeInstall`."""

    program = "installers.receive"

    target: str
    piece: Piece | None = None
    copies: int = 0


@dataclass(frozen=True, kw_only=True)
class WriteGeneration(ChangeRequest):
    """Write a generation into its folder.

    Attributes:
        files: path below the folder → content in base64, and mode.
        links: path below the folder → target.
    """

    program = "generations.write"

    scope: Scope
    folder: str
    files: Mapping[str, tuple[str, int]]
    links: Mapping[str, str]
    generated_secrets: tuple[GeneratedVariable, ...]


@dataclass(frozen=True, kw_only=True)
class StageGateway(ChangeRequest):
    """Try out a generation's gateway beside the running one.

    Attributes:
        folder: the generation's.
        unit: name of the transient unit.
        text: its file, with two placeholders.
        environment: name of the install with the verifier's packages,
        verifier: and of the one with its sources.
        ready_path: gives status 200 once the gateway is ready.
        ports: the first and the last of those that it may listen on.
        timeout: seconds until it must answer.
        stale: units that do not yet run what the generation says.
    """

    program = "generations.stage"

    scope: Scope
    who: str
    folder: str
    unit: str
    text: str
    folder_placeholder: str
    port_placeholder: str
    environment: str
    verifier: str
    ready_path: str
    ports: tuple[int, int]
    timeout: int
    stale: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Activation(ChangeRequest):
    """What every activation needs besides the generation's folder.

    Attributes:
        config: the link to the generation that runs.
        generations: the folder of all.
        units_folder: systemd's, for this scope.
        wanted_by: the target that starts the units at boot.
        found: the generation that was current when the run began.
        who: who runs it.
        taken_over: the folder of what was moved aside.
        outdated: units to restart although they run what is wanted.
    """

    scope: Scope
    config: str
    generations: str
    taken_over: str
    units_folder: str
    wanted_by: str
    found: str | None
    who: str
    outdated: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GoForward(Activation):
    """Activate the generation in a folder.

    Attributes:
        by_hand: a person chose an earlier one.
        take_over: what is not ours and is moved aside first, by the names in which people see it.
    """

    program = "generations.forward"

    folder: str
    by_hand: bool
    take_over: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Leave(Activation):
    """Go back to before the first generation: stop and unlink all units, and give back what was taken over."""

    program = "generations.leave"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a verification, in short."""

    status: Literal["pass", "fail", "unknown"]
    summary: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class GoBack(Activation):
    """Go back to the generation that passed before.

    Attributes:
        failed: the one that does not pass.
        verified: it has a verdict at all.
    """

    program = "generations.rollback"

    failed: str
    reason: str
    verdict: Outcome
    verified: bool


@dataclass(frozen=True, kw_only=True)
class RecordVerdict(ChangeRequest):
    """Record the result of a generation's verification in the history."""

    program = "generations.record"

    who: str
    generation: str
    verdict: Outcome


@dataclass(frozen=True, kw_only=True)
class Prune(ChangeRequest):
    """Remove folders, and run the commands that free what servers keep themselves."""

    program = "prune"

    folders: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Reach(Request):
    """Print, as JSON, which of the addresses and ports accept connections from the host."""

    program = "reach"

    addresses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Reached:
    """For each of the addresses `open`, `refused`, `silent`, or why it cannot be tried."""

    results: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class HostModel:
    """A model that must be on the host already.

    Attributes:
        path: of its folder, or of one of its files.
        folder: which of both it is.
        user: the user that must be able to read it; empty = one without any rights of its own.
        sees: what its unit sees of the homes of users: a path there, or nothing if it is empty; none = all.
    """

    path: str
    folder: bool
    user: str = ""
    sees: str | None = ""


@dataclass(frozen=True, kw_only=True)
class LookAtModels(Request):
    """Print, as JSON, why models cannot be used that must be on the host already, or a folder for others:
    `FoundModels`."""

    program = "installers.host_models"

    models: tuple[HostModel, ...]
    folder: ModelsFolder | None = None


@dataclass(frozen=True, kw_only=True)
class FoundModels:
    """Each problem with its fix."""

    problems: tuple[str, ...]
