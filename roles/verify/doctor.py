"""Why a check fails: the likely causes in order, each with the command that shows more.

The signs are a table of the documentation too (`docs/troubleshooting.md`, by `make golden`). Each that a host without a
card can have is provoked on a lab host, and must lead to its row (`tests/lab/faults.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from roles.contract.verdict import Cause, Check
from roles.verify.generation import Generation

_AGAIN = "run deploys/full.py: it fixes that"


@dataclass(frozen=True)
class Sign:
    """One row of the table.

    Attributes:
        checks: a pattern of the ids of the checks that may fail so, with `*` for any words.
        seen: a regular expression that what was seen must match; empty = whatever was seen.
        told: how a report tells it, for people.
        causes: the likeliest first. `{unit}` and `{config}` stand for the unit that the check is about, and for the
            folder of the configuration.
    """

    checks: str
    seen: str
    told: str
    causes: tuple[Cause, ...]


_LOG = "journalctl -u {unit} -n 50"
_STATUS = "systemctl status {unit}"

SIGNS: Mapping[str, Sign] = {
    "edited": Sign(
        "generation/files",
        "",
        "the generation is not as it was written",
        (
            Cause(f"somebody changed, added or removed a file by hand: {_AGAIN}", "ls -lact {config}/"),
            Cause("the disk returns something else than was written to it", "journalctl -k -p err"),
        ),
    ),
    "unit-gone": Sign(
        "unit/*/active",
        "not-found|bad-setting|masked",
        "a unit is not there, or masked",
        (
            Cause(
                f"somebody removed or masked the unit: `systemctl unmask {{unit}}`, then {_AGAIN}",
                "systemctl cat {unit}",
            ),
        ),
    ),
    "unit-segfault": Sign(
        "unit/*",
        "ended by SIG(SEGV|ABRT|BUS|ILL|FPE)",
        "a unit's process has crashed",
        (
            Cause(
                "a defect of its program, or of a library that it has loaded: its log has where it was, and where "
                "systemd-coredump is installed `coredumpctl info {unit}` too; restarted, it goes on",
                "journalctl -u {unit} -n 200 -g 'Fatal Python error|File|SIG'",
            ),
            Cause("its files were damaged or replaced: see its other checks", "ls -lL {config}/install/"),
        ),
    ),
    "unit-dies": Sign(
        "unit/*/active",
        "failed|auto-restart|activating",
        "a unit has failed, or starts again and again",
        (
            Cause("its process dies at its start: the last lines of its log say why", _LOG),
            Cause(
                "what it runs from, its model or its environment, is gone or cannot be read",
                "ls -lL {config}/install/",
            ),
            Cause("the host lacks memory", "journalctl -k -g oom"),
        ),
    ),
    "unit-stopped": Sign(
        "unit/*/active",
        "",
        "a unit does not run",
        (
            Cause("somebody stopped it: `systemctl start {unit}`", _LOG),
            Cause(f"a deploy was cut short: {_AGAIN}", "ls -l {config}"),
        ),
    ),
    "unit-disabled": Sign(
        "unit/*/enabled",
        "",
        "a unit would not start at the next boot",
        (Cause(f"somebody disabled it: {_AGAIN}", "systemctl is-enabled {unit}"),),
    ),
    "unit-older": Sign(
        "unit/*/digest",
        "^[0-9a-f]{16}$",
        "a process runs something else than is deployed",
        (
            Cause(f"it was started before the last switch, or the link was set by hand: {_AGAIN}", "ls -l {config}"),
            Cause(
                "its unit was changed by hand, and not read again: `systemctl daemon-reload`", "systemctl cat {unit}"
            ),
        ),
    ),
    "unit-stranger": Sign(
        "unit/*/digest",
        "has no",
        "a process does not say what it runs",
        (Cause(f"the unit's file was replaced by another: {_AGAIN}", "systemctl cat {unit}"),),
    ),
    "needs-restart": Sign(
        "unit/*/binary",
        "needs restart",
        "a unit runs from files that others have taken the place of",
        (
            Cause(
                "they were upgraded, and the unit was not started again: `systemctl restart {unit}`, or run "
                "deploys/full.py, which takes it out of work first where another can take it over",
                "grep ' upgrade ' /var/log/dpkg.log | tail",
            ),
        ),
    ),
    "binary-none": Sign(
        "unit/*/binary",
        "",
        "what a unit runs cannot be seen",
        (Cause("it does not run: see its other checks", _LOG),),
    ),
    "port-taken": Sign(
        "unit/*/port",
        r"\S+, \S",
        "another process has the port, or the unit listens elsewhere too",
        (
            Cause(
                "a program that is none of the stack's listens there: stop it, or give the service another `port`",
                "ss -ltnp",
            ),
            Cause("the unit was changed by hand, and listens on more than is declared", "systemctl cat {unit}"),
        ),
    ),
    "port-silent": Sign(
        "unit/*/port",
        "nothing listens",
        "nobody listens on a port",
        (Cause("the unit does not run, or has not got so far: see its other checks", _LOG),),
    ),
    "unit-walled": Sign(
        "unit/*/ready",
        "no connection",
        "nothing gets through to a unit",
        (
            Cause("a firewall drops what goes to its port", "nft list ruleset"),
            Cause("its process takes no connections any more", "ss -ltn"),
        ),
    ),
    "unit-hangs": Sign(
        "unit/*/ready",
        "within",
        "a unit does not answer in time",
        (
            Cause(
                "its process is stopped (state T) or hangs: `systemctl restart {unit}`",
                "ps -o pid,stat,wchan:20,args -p $(systemctl show -P MainPID {unit})",
            ),
            Cause("the host is overloaded, or swaps", "top -b -n 1 | head -20"),
        ),
    ),
    "unit-unready": Sign(
        "unit/*/ready",
        "",
        "a unit is not ready",
        (
            Cause("it does not run: see its other checks", _LOG),
            Cause("it still loads its model: raise its `start_timeout` if that takes longer", _LOG),
        ),
    ),
    "unit-crashed": Sign(
        "unit/*/restarts",
        "",
        "a unit has crashed, and systemd has started it again",
        (
            Cause("its process died: the lines before its last start say why", _LOG),
            Cause("the kernel ended it for lack of memory", "journalctl -k -g oom"),
        ),
    ),
    "memory": Sign(
        "unit/*/memory",
        "",
        "a unit is at the bound of its memory",
        (
            Cause(
                "its model or its context is larger than `memory_max` allows",
                "systemctl show -p MemoryCurrent,MemoryMax {unit}",
            ),
        ),
    ),
    "card-memory": Sign(
        "unit/*/gpu-memory",
        "",
        "a unit does not use the card that it should",
        (
            Cause("it was built, or started, without its card: it computes on the processor", _LOG),
            Cause(
                "others held its card's memory when it started, so that it left layers to the processor: "
                "`systemctl restart {unit}`",
                "{config}/bin/gpu facts",
            ),
            Cause("`gpus` names other cards than the host has", "{config}/bin/gpu facts"),
        ),
    ),
    "task": Sign(
        "unit/*/done",
        "",
        "a task has not done its work",
        (Cause("it has failed: the last lines of its log say why", _LOG),),
    ),
    "undone": Sign(
        "unit/*/holds",
        "",
        "what a task has brought about is gone or changed",
        (
            Cause(
                "somebody flushed or changed the rules of nftables, as a start of Debian's nftables.service does: run "
                "`systemctl restart {unit}`, or deploys/full.py",
                "nft list table inet ai_backend",
            ),
        ),
    ),
    "install": Sign(
        "install/*",
        "",
        "a program or an environment is not what was installed",
        (
            Cause(f"somebody changed, added or removed a file: {_AGAIN}", "ls -lL {config}/install/"),
            Cause("the disk returns something else than was written to it", "journalctl -k -p err"),
        ),
    ),
    "model": Sign(
        "model/*",
        "",
        "a model's files are not those that were installed",
        (
            Cause(
                "somebody changed or removed a file: remove the folder that it lies in, and run deploys/full.py",
                "ls -lL {config}/install/",
            ),
            Cause("the disk returns something else than was written to it", "journalctl -k -p err"),
        ),
    ),
    "disk": Sign(
        "host/disk",
        "",
        "a file system is nearly full",
        (
            Cause(
                "old installs and models: deploys/prune.py frees those that are used no more",
                "df -h; du -xsh /opt/ai-backend/*",
            ),
            Cause("something fills a file system that lies in memory, as /run", "df -h /run /dev/shm; du -xsh /run/*"),
        ),
    ),
    "packages": Sign(
        "host/packages",
        "",
        "a Debian package that the stack needs is not installed",
        (Cause(f"somebody removed it: {_AGAIN}", "grep ' remove ' /var/log/dpkg.log | tail"),),
    ),
    "clock": Sign(
        "host/clock",
        "",
        "the clock is wrong",
        (Cause("the time service cannot reach its servers", "timedatectl timesync-status"),),
    ),
    "driver": Sign(
        "host/driver",
        "",
        "the graphics driver does not work",
        (Cause("it was upgraded, and the older one is still loaded: reboot", "nvidia-smi"),),
    ),
    "listener": Sign(
        "host/listeners",
        "",
        "a unit listens where it should not",
        (Cause("an option of its own opens a further port: take it out of `extra_arguments`", "ss -ltnp"),),
    ),
    "open": Sign(
        "host/outside/*",
        "",
        "a port can be reached from elsewhere, or one that should be cannot",
        (
            Cause(
                "something forwards to it, or listens there besides: a proxy, a container, a firewall's rule",
                "ss -ltnp; nft list ruleset",
            ),
        ),
    ),
    "cache-down": Sign(
        "gateway/cache",
        "@unit-down",
        "the gateway cannot use its cache, which is not well",
        (Cause("{unit} does not run, or hangs: see its checks", _LOG),),
    ),
    "cache-forgets": Sign(
        "gateway/cache",
        "answered each time|has nothing",
        "the gateway's cache keeps nothing",
        (
            Cause(
                "it takes nothing more, its memory being full: raise its `maxmemory`",
                "journalctl -u 'litellm*' -n 50 -g redis",
            ),
            Cause("the gateway has just failed to reach it, and leaves it alone for some seconds", _LOG),
        ),
    ),
    "cache-untried": Sign(
        "gateway/cache",
        "^no answer from",
        "no route answers by which the cache could be tried",
        (Cause("see their own checks", "journalctl -u 'litellm*' -n 50"),),
    ),
    "cache": Sign(
        "gateway/cache",
        "Unhealthy|WRONGPASS|NOAUTH",
        "the gateway cannot use its cache, which is well",
        (
            Cause(
                "Redis refuses it: its password was changed: `systemctl restart {unit}`",
                _LOG,
            ),
            Cause("a firewall is between it and the gateway", "nft list ruleset"),
        ),
    ),
    "gateway-walled": Sign(
        "gateway/*",
        "no end within|ConnectTimeout",
        "the gateway does not answer in time",
        (
            Cause("a firewall drops what goes to its port", "nft list ruleset"),
            Cause(
                "its process hangs: see the checks of its unit", "journalctl -u 'litellm*' -u ai-backend-front -n 50"
            ),
        ),
    ),
    "gateway-down": Sign(
        "gateway/*",
        "ConnectError|ReadError|RemoteProtocol|503",
        "the gateway cannot be reached",
        (Cause("its unit does not run: see its checks", "journalctl -u 'litellm*' -u ai-backend-front -n 50"),),
    ),
    "key-missing": Sign(
        "gateway/*",
        r"\.env: |holds no|is empty or no",
        "the gateway's key cannot be read",
        (Cause(f"its file was removed or emptied: {_AGAIN}", "ls -l /var/lib/ai-backend/secrets"),),
    ),
    "key-differs": Sign(
        "gateway/*",
        "^(401|403)|No connected db",
        "the gateway refuses its own key",
        (
            Cause(
                "the key was changed, and the gateway not restarted: `systemctl restart 'litellm*'`",
                "ls -l /var/lib/ai-backend/secrets",
            ),
        ),
    ),
    "models": Sign(
        "gateway/models",
        "missing|too much",
        "the gateway does not offer just the declared models",
        (
            Cause(
                "it runs with another configuration than the deployed one: see the checks of its unit", "ls -l {config}"
            ),
            Cause("LiteLLM dropped a deployment that it could not read", "journalctl -u 'litellm*' -g error"),
        ),
    ),
    "open-door": Sign(
        "gateway/*-key",
        "",
        "the gateway answers without the right key",
        (Cause("it runs without a master key: its environment was changed by hand", "systemctl cat 'litellm*'"),),
    ),
    "instance-out": Sign(
        "gateway/servers",
        "",
        "an instance of the gateway gets no requests",
        (
            Cause("the instance does not answer: see the checks of its unit", "journalctl -u 'litellm@*' -n 50"),
            Cause(
                "a run was killed while it replaced the instance (DRAIN), or somebody took it out (MAINT): "
                "`systemctl restart ai-backend-front`, which cuts what is under way",
                "journalctl -u ai-backend-front -n 20",
            ),
        ),
    ),
    "no-fallback": Sign(
        "gateway/fallback",
        "",
        "a request does not go on to a fallback",
        (Cause("the route that it should go on to fails: see its checks", "journalctl -u 'litellm*' -n 50"),),
    ),
    "backend-down": Sign(
        "route/*",
        "@unit-down",
        "a route's backend is not well",
        (Cause("{unit} does not run as it should: see its checks", _LOG),),
    ),
    "route-gateway-down": Sign(
        "route/*",
        "ConnectError|RemoteProtocol|^503",
        "the gateway does not answer for a route",
        (Cause("the gateway cannot be reached: see its checks", "journalctl -u 'litellm*' -u ai-backend-front -n 50"),),
    ),
    "route-walled": Sign(
        "route/*",
        "[Cc]onnection error|Cannot connect|APIConnectionError",
        "the gateway cannot reach a route's backend",
        (
            Cause("a firewall is between the gateway and {unit}", "nft list ruleset"),
            Cause("{unit} breaks off what the gateway asks: its log says why", _LOG),
        ),
    ),
    "other-words": Sign(
        "route/*",
        "holds no",
        "a route answers something else",
        (
            Cause("another model answers behind it: somebody replaced it, or its files", "ls -lL {config}/install/"),
            Cause(
                "the probe expects words that the model does not say to it",
                "grep -A 12 'probe' {config}/model-mappings.yaml",
            ),
        ),
    ),
    "thinking": Sign(
        "route/*",
        "only thinking",
        "a reasoning model ran out of tokens",
        (Cause("its probe allows too few: raise `max_tokens`", "grep -A 8 'probe' {config}/model-mappings.yaml"),),
    ),
    "slow": Sign(
        "route/*",
        "no end within|Timeout|timed out",
        "a route does not answer in time",
        (
            Cause(
                "it answers slower than its probe's `timeout` allows: {unit} is busy, or the host overloaded",
                "top -b -n 1 | head -20",
            ),
            Cause("a firewall drops what the gateway sends to {unit}", "nft list ruleset"),
        ),
    ),
    "elsewhere": Sign(
        "route/*",
        "answered by|attempted fallbacks",
        "a route is answered by another backend",
        (
            Cause("the gateway's requests to {unit} fail: a firewall is between them, or it breaks them off", _LOG),
            Cause("it rests after a failure that is over by now: `deploys/verify.py` again", _LOG),
        ),
    ),
    "promise": Sign(
        "route/*",
        "no tool call|no JSON|by the schema|was called",
        "a route does not keep what it promises",
        (
            Cause("the model, or its chat template, cannot do it: take `tools` or `structured_outputs` back", _LOG),
            Cause("its server needs an option for it (vLLM: `tool_call_parser`)", "systemctl cat {unit}"),
        ),
    ),
    "sharer-silent": Sign(
        "route/*/balance",
        "does not answer",
        "one of a route's deployments does not answer",
        (Cause("see its own check", "journalctl -u 'litellm*' -n 50"),),
    ),
    "unshared": Sign(
        "route/*/balance",
        "",
        "the gateway gives a deployment none of a route's requests",
        (
            Cause(
                f"it runs with another configuration than the deployed one: {_AGAIN}, then "
                "`systemctl restart 'litellm*'`",
                "ls -l {config}",
            ),
        ),
    ),
    "refused": Sign(
        "route/*",
        "",
        "a route's request fails",
        (
            Cause("{unit} refuses it: its log says why", _LOG),
            Cause("the gateway cannot reach {unit}", "journalctl -u 'litellm*' -n 50"),
        ),
    ),
}
"""By name, in the order in which they are tried: the first that matches counts."""

_UNIT_DOWN = "@unit-down"


def explained(checks: Sequence[Check], generation: Generation) -> tuple[Check, ...]:
    """The checks, each that does not hold with its likely causes."""
    broken = {check.subject for check in checks if check.group == "unit" and not check.ok}
    return tuple(check if check.ok else _explained(check, generation, broken) for check in checks)


def _explained(check: Check, generation: Generation, broken: Collection[str]) -> Check:
    units = _units(check, generation)
    down = [unit for unit in units if unit in broken]
    for sign in SIGNS.values():
        if not fnmatchcase(check.id, sign.checks):
            continue
        if sign.seen == _UNIT_DOWN:
            if not down:
                continue
        elif not re.search(sign.seen, check.seen):
            continue
        unit = (down or units or [check.subject])[0]
        words = {"unit": unit, "config": str(generation.config)}
        causes = tuple(Cause(each.cause.format(**words), each.look.format(**words)) for each in sign.causes)
        return replace(check, causes=causes)
    return check


def _units(check: Check, generation: Generation) -> list[str]:
    """The units that a check is about: of a route, those of its deployments."""
    if check.id == "gateway/cache" and generation.cache:
        return [generation.cache.service.unit]
    if check.group != "route":
        return [check.subject]
    units = {provider.name: provider.service.unit for provider in generation.providers}
    of_routes = {name: route.deployments for route in generation.routes for name in route.names}
    of_routes |= {each.id: (each,) for route in generation.routes for each in route.deployments}
    return [units[each.provider] for each in of_routes.get(check.subject, ()) if each.provider in units]
