"""What the programs that run on a host are asked, and what those that give an answer print.

A program is named by its request: `roles.host.programs.<program>` has a `main(request)` that takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from roles.contract.generation import GeneratedVariable, Scope

Holder: TypeAlias = Mapping[str, str]
"""Who holds the deploy lock: `id`, `who`, `since`, and what tells whether that run is still there."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What every program is asked."""

    program: ClassVar[str]

    @property
    def state_folder(self) -> str | None:
        """The layout's state folder, where the program must have the host to itself; none = it changes nothing that
        another one looks at."""
        return None


@dataclass(frozen=True, kw_only=True)
class ChangeRequest(Request):
    """What a program that changes the host is asked: one at a time, while its run holds the deploy lock."""

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
    """Give the deploy lock back, if it has that id; none = whoever holds it."""

    program = "deploy_lock"

    folder: str
    id: str | None


@dataclass(frozen=True, kw_only=True)
class PrepareSystem(ChangeRequest):
    """Install packages, make users and folders.

    Attributes:
        packages: those that are missing.
        keep_off: units that come with them and are not to start.
        build_user: who builds; none = who runs the program.
        users: system users that units run as, and that are missing.
        cache: the layout's.
        folders: path and mode of each.
        lingering: let the user's services run without a login.
    """

    program = "system"

    packages: tuple[str, ...]
    keep_off: tuple[str, ...]
    build_user: str | None
    users: tuple[str, ...]
    cache: str
    folders: tuple[tuple[str, int], ...]
    lingering: bool


@dataclass(frozen=True, kw_only=True)
class UvTool:
    """The uv that makes environments: the folder that it is in, and its hash-locked requirements."""

    folder: str
    requirements: str


@dataclass(frozen=True, kw_only=True)
class MakeInstall(ChangeRequest):
    """Make one install.

    Attributes:
        folder: where it goes.
        recipe: how its kind is made, with the folders of the installs that it needs.
        token: for a repository that asks for one.
        cache: the layout's.
        build_user: who builds; none = who runs the program.
    """

    program = "installers.install"

    kind: str
    title: str
    folder: str
    recipe: Mapping[str, Any]
    token: str | None
    cache: str
    build_user: str | None
    uv: UvTool


@dataclass(frozen=True, kw_only=True)
class UnpackArchive(Request):
    """Unpack an archive below a folder.

    Attributes:
        into: a folder below that one, made where it is missing.
        strip: how many leading folders of the archive's paths are dropped.
    """

    program = "installers.archive"

    archive: str
    folder: str
    into: str = "."
    strip: int = 0


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of a file: where it begins, the size of the whole file, and its bytes in base64."""

    offset: int
    size: int
    data: str


@dataclass(frozen=True, kw_only=True)
class ReceiveFile(ChangeRequest):
    """Append a piece to a file, and print how many bytes are there; none = just that."""

    program = "installers.receive"

    target: str
    piece: Piece | None = None


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
    """Try out a generation's gateway beside the one that runs.

    Attributes:
        folder: the generation's.
        unit: name of the transient unit.
        text: its file, with two placeholders.
        environment: name of the install with the verifier's packages,
        verifier: and of the one with its sources.
        ready_path: answers with 200 once the gateway can.
        ports: the first and the last of those that it may listen on.
        timeout: seconds until it must answer.
        stale: units that do not run yet as the generation says.
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
    """What every activation needs to know, besides what lies in the generation's folder.

    Attributes:
        config: the link to the generation that runs.
        generations: the folder of all.
        units_folder: systemd's, for this scope.
        wanted_by: the target that starts the units at boot.
        found: the generation that the run found to be the current one.
        who: whose run it is.
        outdated: units to start again though they run what is wanted.
    """

    scope: Scope
    config: str
    generations: str
    units_folder: str
    wanted_by: str
    found: str | None
    who: str
    outdated: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GoForward(Activation):
    """Activate the generation in a folder; `by_hand`: somebody chose an earlier one."""

    program = "generations.forward"

    folder: str
    by_hand: bool


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a verification found, in short."""

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
    """Write into the history what the verification of a generation found."""

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
    """Print, as JSON, which of the addresses and ports take connections from the host."""

    program = "reach"

    addresses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Reached:
    """For each of the addresses `open`, `refused`, `silent`, or why it cannot be tried."""

    results: tuple[str, ...]
