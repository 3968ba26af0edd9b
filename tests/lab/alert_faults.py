"""What is broken on a lab host for each alert, and what a person is then told.

Faults are real: a unit is killed, a server is stopped in its tracks, a disk is filled, a certificate ends soon. Not so
with what would harm the machine that the lab runs on, or needs what it does not have. There the files are changed that
tell of it: `/proc/meminfo` and `/proc/vmstat` for node exporter alone, a unit's memory as cgroup v2 shows it, and what
the driver of a card says.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

_CHAT = "http://127.0.0.1:4009/v1/chat/completions"
"""Where the host itself asks: TLS is on the endpoint's own port."""
DEAD, FROZEN, RESTARTED = "llama-cpp-python@python.service", "llama-server@native.service", "ollama.service"
_ALERTMANAGER = "ai-backend-alertmanager.service"
FILLING, FULL = "/srv/filling", "/srv/full"
"""Disks of the host."""

TOLD: Mapping[str, str] = {
    "RouteFails": "The route tiny-python fails its verification.",
    "VerdictFails": "The last verification of the host has failed checks.",
    "VerdictStale": "The host has not verified itself for more than 75 minutes.",
    "Unreadable": r"Prometheus cannot read the metrics of native \(llama-server\).",
    "UnitFailed": f"{DEAD} has failed.",
    "UnitRestarts": f"{RESTARTED} was started again [34] times within an hour.",
    "DeploymentFails": "tiny-python@python fails requests for tiny-python.",
    "FallbacksTaken": "Requests for tiny-python went on to its fallback tiny-native.",
    "RequestsFail": r"[\d.]+% of all requests end with an error of the server.",
    "RequestsWait": r"Requests wait for a gateway instance: \d+ just now.",
    "UnitMemoryNearBound": f"{FROZEN} is near the bound of its memory, or was killed for lack of it.",
    "HostMemoryLow": "3% of the host's memory is available.",
    "ProcessesKilled": "The kernel has killed processes for lack of memory.",
    "DiskFillsUp": f"{FILLING} will be full within four days if it goes on like this.",
    "DiskFull": f"{FULL} has [\\d.]+% of its space left.",
    "CertificateEnds": "The endpoint's certificate ends soon, or is not what it should be.",
    "CardUnusable": f"A graphics card or its driver is not as {RESTARTED} needs it.",
    "CardHot": "Card 0 is near the highest temperature at which it runs.",
    "CardThrottled": "Card 0 has been slowed down by its temperature or its power supply for most of ten minutes.",
    "CardMemoryErrors": "Card 0 has had errors of its memory that could not be corrected.",
    "RulesFail": "Prometheus cannot evaluate its alerts.",
    "AlertsNotSent": "Alerts do not reach whom they should.",
}
"""Alert → the expression of what is said of it."""
NOT_PROVOKED = frozenset({"BudgetNearEnd", "BudgetSpent", "RemoteWriteFails"})
"""Nothing on this host has a price or is written elsewhere: promtool's cases alone raise them."""

WAIT, WINDOW = 10, 75
"""Seconds: the longest that an alert waits here, and looks back: for more than the minute after which Prometheus tells
again what it could not tell."""
_SICK = "s|, 43, [^,]*,|, 92, [N/A],|; s|, [^,]*, Not Active, Not Active|, 1, Active, Active|"
"""Of what the driver says of its card: hot, with an error of its memory, and slow for it."""
_FAILS = {"name": "broken", "rules": [{"record": "broken", "expr": "up * on () up"}]}


def shortened(rules: str, *, broken: bool = False) -> str:
    """The file of the rules, with shorter times alone.

    Args:
        broken: there is one that cannot be evaluated.
    """
    file: dict[str, Any] = yaml.safe_load(rules)
    for rule in file["groups"][0]["rules"]:
        rule["for"] = "0s" if rule["for"] == "0s" else f"{WAIT}s"
        rule["expr"] = re.sub(r"\[\w+\]", f"[{WINDOW}s]", re.sub(r"offset \w+", f"offset {WINDOW}s", rule["expr"]))
    return yaml.safe_dump({"groups": [*file["groups"], *([_FAILS] if broken else [])]})


def over(unit: str, file: str, by: str) -> str:
    """A command that puts another file over one, for the processes of a unit alone."""
    return f"nsenter -m -t $(systemctl show -P MainPID {unit}) mount --bind {by} {file}"


def _ask(model: str, seconds: int) -> str:
    return f"curl -s -o /dev/null --max-time {seconds} -H @/run/lab/headers -d @/run/lab/{model} {_CHAT}"


_BODY = '{"model":"%s","max_tokens":8,"messages":[{"role":"user","content":"Who are you?"}]}'
PREPARE = f"""
umask 077; mkdir -p /run/lab
echo 'Content-Type: application/json' > /run/lab/headers
sed 's/^[^"]*"/Authorization: Bearer /; s/".*//' /var/lib/ai-backend/secrets/master-key.env >> /run/lab/headers
for model in tiny-native tiny-python; do printf '{_BODY}' $model > /run/lab/$model; done
cp /etc/ai-backend/monitoring/rules.yml /run/lab/deployed.yml; cp /run/lab/deployed.yml /run/lab/rules.yml
awk '/^MemTotal/ {{total = $2}} /^MemAvailable/ {{$2 = int(total * 0.03)}} {{print}}' /proc/meminfo > /run/lab/meminfo
awk '$1 == "oom_kill" {{$2 += 1}} {{print}}' /proc/vmstat > /run/lab/vmstat
chmod 755 /run/lab; chmod 644 /run/lab/*.yml /run/lab/meminfo /run/lab/vmstat
{over("ai-backend-prometheus", "/etc/ai-backend/monitoring/rules.yml", "/run/lab/rules.yml")}
systemctl stop ai-backend-verify.timer
"""
"""The host verifies itself no more, so that the verdict is that of the test."""

_NOT_AGAIN = f"/run/systemd/system/{DEAD}.d"
_GROUP = f"/sys/fs/cgroup$(systemctl show -P ControlGroup {FROZEN})"
_RESTARTS = f"systemctl show -P NRestarts -P ActiveState {RESTARTED} | xargs"

BREAK = f"""
mkdir -p {_NOT_AGAIN}; printf '[Service]\\nRestart=no\\n' > {_NOT_AGAIN}/dead.conf; systemctl daemon-reload
systemctl kill --signal=KILL {DEAD}
for number in 1 2 3 4 5 6 7 8; do {_ask("tiny-python", 20)}; done
for number in 1 2 3; do
    systemctl kill --signal=KILL {RESTARTED}
    timeout 30 sh -c 'until [ "$({_RESTARTS})" = "'$number' active" ]; do sleep 0.2; done'
done
touch /opt/recording/on-the-processor
cp /opt/recording/query-metrics /run/lab/query-metrics; sed -i '{_SICK}' /opt/recording/query-metrics
mount -o remount,rw /sys/fs/cgroup; mkdir -p {_GROUP}
echo 1000000 > {_GROUP}/memory.current; echo oom_kill 1 > {_GROUP}/memory.events; : > {_GROUP}/memory.stat
{over("ai-backend-node-exporter", "/proc/meminfo", "/run/lab/meminfo")}
{over("ai-backend-node-exporter", "/proc/vmstat", "/run/lab/vmstat")}
fallocate -l $(($(df --output=avail -B1 {FULL} | tail -1) - 500000)) {FULL}/filler
fallocate -l $(($(df --output=avail -B1 {FILLING} | tail -1) * 7 / 10)) {FILLING}/filler
systemd-run --quiet --unit filling sh -c 'while sleep 1; do head -c 20000 /dev/zero >> {FILLING}/more; sync; done'
"""
"""All that a verification then sees, and what it does not look at."""

VERIFY = "/etc/ai-backend/bin/verify --textfile /var/lib/ai-backend/verdicts/ai_backend.prom > /dev/null 2>&1; true"

HANG = f"""
sed -i "s/^ai_backend_verdict_timestamp_seconds .*/ai_backend_verdict_timestamp_seconds $(($(date +%s) - 10000))/" \\
    /var/lib/ai-backend/verdicts/ai_backend.prom
systemctl kill --signal=STOP {FROZEN}
systemd-run --quiet --unit asking sh -c \\
    'while sleep 1; do for number in 1 2 3; do {_ask("tiny-native", 40)} & done; done'
"""
"""What no verification may wait for, and a verdict that grows old."""

STOP_TELLING, TELL = f"systemctl stop {_ALERTMANAGER}", f"systemctl start {_ALERTMANAGER}"

MEND = f"""
systemctl stop asking filling; systemctl kill --signal=CONT {FROZEN}
rm -r {_NOT_AGAIN}; systemctl daemon-reload; systemctl reset-failed {DEAD}; systemctl start {DEAD}
systemctl restart {RESTARTED} {FROZEN}
systemctl start ai-backend-verify.timer
cp /run/lab/query-metrics /opt/recording/query-metrics
rm /opt/recording/on-the-processor {FULL}/filler {FILLING}/*
for file in memory.current memory.events memory.stat; do rm {_GROUP}/$file; done
for file in meminfo vmstat; do
    nsenter -m -t $(systemctl show -P MainPID ai-backend-node-exporter) umount /proc/$file
done
"""


@contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of a disk's kind, in a file."""
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    folder.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
