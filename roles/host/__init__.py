"""The only room that talks to hosts: one fact that reads everything, and the operations on hosts."""

from roles.host.cards import memory_problems
from roles.host.changes import changes
from roles.host.clients import ClientKeys, described, keys_request, make_keys
from roles.host.connection import NoteStep
from roles.host.driver_install import install_driver
from roles.host.foreign import notes
from roles.host.given import check_names, given, inventory_file
from roles.host.history import History, HostHistory, KeptGeneration, history_request
from roles.host.model_facts import facts_of_source
from roles.host.operations import (
    acquire_lock,
    activate_generation,
    break_lock,
    go_back,
    leave_generations,
    make_installs,
    prepare_system,
    release_command,
    release_lock,
    remove_unused_installs,
    stage_gateway,
    wait_for_backends,
    write_generation,
)
from roles.host.output import guard_terminal
from roles.host.program import StandardInput
from roles.host.rebooting import reboot_host
from roles.host.target import Target
from roles.host.trace import LoggedRequest, trace_request, way_of
from roles.host.verification import CHANGED_SPEED, verify_routes

__all__ = [
    "CHANGED_SPEED",
    "ClientKeys",
    "History",
    "HostHistory",
    "KeptGeneration",
    "LoggedRequest",
    "NoteStep",
    "StandardInput",
    "Target",
    "acquire_lock",
    "activate_generation",
    "break_lock",
    "changes",
    "check_names",
    "described",
    "facts_of_source",
    "given",
    "go_back",
    "guard_terminal",
    "history_request",
    "install_driver",
    "inventory_file",
    "keys_request",
    "leave_generations",
    "make_installs",
    "make_keys",
    "memory_problems",
    "notes",
    "prepare_system",
    "reboot_host",
    "release_command",
    "release_lock",
    "remove_unused_installs",
    "stage_gateway",
    "trace_request",
    "verify_routes",
    "wait_for_backends",
    "way_of",
    "write_generation",
]
