"""Signs of units: their processes, ports, memory and cards, and the results of tasks."""

from __future__ import annotations

from collections.abc import Mapping

from roles.contract.verdict import Cause
from roles.verify.doctor.sign import AGAIN, FIREWALL, INSTALLS, KERNEL_MEMORY_LOG, LOG, Sign

_GPUS = "{config}/bin/gpu facts"

UNITS: Mapping[str, Sign] = {
    "unit-gone": Sign(
        ("unit/*/active",),
        ("unit-missing",),
        "a unit is not there, or masked",
        (
            Cause(
                f"somebody removed or masked the unit: `{{systemctl}} unmask {{unit}}`, then {AGAIN}",
                "{systemctl} cat {unit}",
            ),
        ),
    ),
    "unit-segfault": Sign(
        ("unit/*",),
        ("process-crashed",),
        "a unit's process has crashed",
        (
            Cause(
                "a defect of its program, or of a library that it has loaded: its log has where it was, and where "
                "systemd-coredump is installed `{coredump}` too; restarted, it goes on",
                "{journalctl} -u {unit} -n 200 -g 'Fatal Python error|File|SIG'",
            ),
            Cause("its files were damaged or replaced: see its other checks", INSTALLS),
        ),
    ),
    "unit-dies": Sign(
        ("unit/*/active",),
        ("unit-failed",),
        "a unit has failed, or starts again and again",
        (
            Cause("its process dies at its start: the last lines of its log say why", LOG),
            Cause("what it runs from, its model or its environment, is gone or cannot be read", INSTALLS),
            Cause("the host lacks memory", KERNEL_MEMORY_LOG),
        ),
    ),
    "unit-stopped": Sign(
        ("unit/*/active",),
        ("unit-stopped",),
        "a unit does not run",
        (
            Cause("somebody stopped it: `{systemctl} start {unit}`", LOG),
            Cause(f"a deploy was cut short: {AGAIN}", "ls -l {config}"),
        ),
    ),
    "unit-disabled": Sign(
        ("unit/*/enabled",),
        ("unit-disabled",),
        "a unit would not start at the next boot",
        (Cause(f"somebody disabled it: {AGAIN}", "{systemctl} is-enabled {unit}"),),
    ),
    "unit-older": Sign(
        ("unit/*/digest",),
        ("digest-outdated",),
        "a process runs something else than is deployed",
        (
            Cause(f"it was started before the last switch, or the link was set by hand: {AGAIN}", "ls -l {config}"),
            Cause(
                "its unit was changed by hand, and not read again: `{systemctl} daemon-reload`",
                "{systemctl} cat {unit}",
            ),
        ),
    ),
    "unit-version": Sign(
        ("unit/*/version",),
        ("version-differs",),
        "a server is of another version than the declared one",
        (
            Cause(
                "its archive is that of another release: fix `version`, or `url` and `sha256`, and run deploys/full.py",
                INSTALLS,
            ),
            Cause("something else answers at its address: see the check of its port", LOG),
        ),
    ),
    "unit-unknown": Sign(
        ("unit/*/digest",),
        ("digest-missing",),
        "a process does not say what it runs",
        (Cause(f"the unit's file was replaced by another: {AGAIN}", "{systemctl} cat {unit}"),),
    ),
    "needs-restart": Sign(
        ("unit/*/binary",),
        ("files-replaced",),
        "a unit runs from files that others have taken the place of",
        (
            Cause(
                "they were upgraded, and the unit was not started again: `{systemctl} restart {unit}`, or run "
                "deploys/full.py, which takes it out of work first where another can take it over",
                "grep ' upgrade ' /var/log/dpkg.log | tail",
            ),
        ),
    ),
    "no-process": Sign(
        ("unit/*",),
        ("no-process",),
        "a unit has no process to look at",
        (Cause("it does not run: see its other checks", LOG),),
    ),
    "port-taken": Sign(
        ("unit/*/port",),
        ("port-taken",),
        "another process has the port",
        (
            Cause(
                "a program that is none of the stack's listens there: stop it, or give the service another `port`",
                "ss -ltnp",
            ),
        ),
    ),
    "port-elsewhere": Sign(
        ("unit/*/port",),
        ("port-elsewhere",),
        "a unit listens at another address than is declared",
        (Cause("the unit was changed by hand, and listens on more than is declared", "{systemctl} cat {unit}"),),
    ),
    "port-silent": Sign(
        ("unit/*/port",),
        ("port-silent",),
        "nobody listens on a port",
        (Cause("the unit does not run, or has not got so far: see its other checks", LOG),),
    ),
    "unit-unreachable": Sign(
        ("unit/*/ready",),
        ("connect-timeout",),
        "nothing gets through to a unit",
        (
            Cause("a firewall drops what goes to its port", FIREWALL),
            Cause("its process takes no connections any more", "ss -ltn"),
        ),
    ),
    "unit-hangs": Sign(
        ("unit/*/ready",),
        ("answer-timeout",),
        "a unit does not answer in time",
        (
            Cause(
                "its process is stopped (state T) or hangs: `{systemctl} restart {unit}`",
                "ps -o pid,stat,wchan:20,args -p $({systemctl} show -P MainPID {unit})",
            ),
            Cause("the host is overloaded, or swaps", "top -b -n 1 | head -20"),
        ),
    ),
    "unit-unready": Sign(
        ("unit/*/ready",),
        ("not-ready",),
        "a unit is not ready",
        (
            Cause("it does not run: see its other checks", LOG),
            Cause("it still loads its model: raise its `start_timeout` if that takes longer", LOG),
        ),
    ),
    "unit-crashed": Sign(
        ("unit/*/restarts",),
        ("restarts-often",),
        "a unit has crashed, and systemd has started it again",
        (
            Cause("its process died: the lines before its last start say why", LOG),
            Cause("the kernel ended it for lack of memory", KERNEL_MEMORY_LOG),
        ),
    ),
    "memory": Sign(
        ("unit/*/memory",),
        ("memory-exhausted", "memory-near-limit"),
        "a unit is at the bound of its memory",
        (
            Cause(
                "its model or its context is larger than `memory_max` allows",
                "{systemctl} show -p MemoryCurrent,MemoryMax {unit}",
            ),
        ),
    ),
    "card-missing": Sign(
        ("unit/*/gpu-memory",),
        ("gpu-missing",),
        "the host has no such card",
        (Cause("`gpus` names other cards than the host has", _GPUS),),
    ),
    "card-memory": Sign(
        ("unit/*/gpu-memory",),
        ("gpu-unused", "gpu-memory-low", "gpu-wrong"),
        "a unit does not use the card that it should",
        (
            Cause("it was built, or started, without its card: it computes on the processor", LOG),
            Cause(
                "others held its card's memory when it started, so that it left layers to the processor: "
                "`{systemctl} restart {unit}`",
                _GPUS,
            ),
            Cause("`gpus` names other cards than the host has", _GPUS),
        ),
    ),
    "task": Sign(
        ("unit/*/done", "unit/*/effect"),
        ("task-failed", "task-record-missing"),
        "a task has not done its work",
        (Cause("it has failed: the last lines of its log say why", LOG),),
    ),
    "task-outdated": Sign(
        ("unit/*/done", "unit/*/effect"),
        ("task-outdated",),
        "a task has done its work for another generation",
        (Cause(f"it did not run after the last switch: {AGAIN}", LOG),),
    ),
    "undone": Sign(
        ("unit/*/effect",),
        ("task-undone",),
        "what a task has brought about is gone or changed",
        (
            Cause(
                "somebody flushed or changed the rules of nftables, as a start of Debian's nftables.service does: run "
                "`{systemctl} restart {unit}`, or deploys/full.py",
                "nft list table inet ai_backend",
            ),
        ),
    ),
}
