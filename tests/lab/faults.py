"""Faults of a host that runs the stack of `routes_stack.py` with two instances of the gateway.

Each goes through the real system: by a shell command as root. Each must turn a check red, and be told with the first
cause of one of the doctor's signs.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.routes_stack import PASSWORD, PORTS

UNIT = "llama-server@two.service"
FIRST = "llama-server@one.service"
PORT = 8082
_CONFIG = "/etc/ai-backend"
_WANTS = "/etc/systemd/system/multi-user.target.wants"
_DROP_IN = f"/run/systemd/system/{UNIT}.d"
_SECRET = "/var/lib/ai-backend/secrets/master-key.env"
_MODEL = f"$(readlink -f {_CONFIG}/install/model-two.gguf-*)/two.gguf"
_REDIS = "ai-backend-redis.service"
_IN_UNIT = "systemd-run --quiet --unit fault"
_ANSWERS_ANYTHING = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")
    do_POST = do_GET
http.server.ThreadingHTTPServer(("0.0.0.0", 4000), Handler).serve_forever()
"""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        inject, fix: shell commands.
        check: id of a check that must be red, or a pattern of it.
        sign: the name of the doctor's sign whose first cause must be told there.
        also: further checks, each with its sign.
    """

    inject: str
    fix: str
    check: str
    sign: str
    also: tuple[tuple[str, str], ...] = ()


def _drop_in(lines: str, unit: str = UNIT) -> str:
    folder = f"/run/systemd/system/{unit}.d"
    return f"mkdir -p {folder} && printf '[Service]\\n{lines}\\n' > {folder}/fault.conf && systemctl daemon-reload"


def _without_drop_in(unit: str = UNIT) -> str:
    return f"rm -rf /run/systemd/system/{unit}.d && systemctl daemon-reload && systemctl reset-failed {unit}; "


def _active(name: str, unit: str = UNIT) -> str:
    return f"unit/{unit}/{name}"


def _dropped(port: int) -> str:
    rules = f"tcp dport {port} drop; tcp sport {port} drop;"
    return f"nft 'table inet fault {{ chain input {{ type filter hook input priority 0; {rules} }}; }}'"


def _refused_to_others(port: int) -> str:
    """Root, as whom the verifier asks, gets through."""
    rule = f"meta skuid != 0 tcp dport {port} reject with tcp reset;"
    return f"nft 'table inet fault {{ chain output {{ type filter hook output priority 0; {rule} }}; }}'"


def _changed(file: str, statement: str) -> str:
    """Change a YAML file of the generation: `entries` is its list of models, by name."""
    program = (
        "import sys, yaml; document = yaml.safe_load(open(sys.argv[1])); "
        "models = next(iter(document.values())); "
        'entries = {each.get("name") or each["model_info"]["id"]: each for each in models}; '
        f'{statement}; yaml.safe_dump(document, open(sys.argv[1], "w"))'
    )
    return f"cp -a {file} /root/file && {_CONFIG}/install/litellm/bin/python -c '{program}' {file}"


def _unchanged(file: str) -> str:
    return f"cp -a /root/file {file}"


def _redis(command: str) -> str:
    return f"REDISCLI_AUTH='{_SHELL_PASSWORD}' redis-cli {command}"


_SHELL_PASSWORD = PASSWORD.replace("'", "'\\''")
_ROUTES = f"{_CONFIG}/model-mappings.yaml"
_GATEWAY = f"{_CONFIG}/litellm-unified.yaml"
_RESTART = f"systemctl restart {UNIT}"
_RESTART_GATEWAY = (
    "systemctl restart litellm@a litellm@b; sleep 2; "
    "timeout 60 sh -c 'until curl -sf http://127.0.0.1:4002/health/liveliness; do sleep 0.5; done'; sleep 3"
)
_NFT_GONE = "nft delete table inet fault"
_DEAD = f"systemctl kill --signal=KILL {UNIT}"
UNTIL_ACTIVE = f"timeout 30 sh -c 'until curl -sf http://127.0.0.1:{PORT}/health; do sleep 0.2; done'"

_NOTHING_ELSE = "ExecStart=\\nExecStart="
"""Of a drop-in: it takes the unit's own program away, and names another."""
_ANOTHER_PORT = 'ExecStartPost=/bin/sh -c "python3 -m http.server 8999 &"'

FAULTS = {
    # Configuration
    "an edited file": Fault(
        f"echo '# edited' >> {_CONFIG}/litellm-unified.yaml",
        f"sed -i '$d' {_CONFIG}/litellm-unified.yaml",
        "generation/files",
        "edited",
    ),
    "a file more": Fault(
        f"touch {_CONFIG}/units/more.service", f"rm {_CONFIG}/units/more.service", "generation/files", "edited"
    ),
    "a file less": Fault(
        f"mv {_CONFIG}/redis/redis.conf /root/", f"mv /root/redis.conf {_CONFIG}/redis/", "generation/files", "edited"
    ),
    "a file that all may write": Fault(
        f"chmod 666 {_CONFIG}/providers.yaml", f"chmod 644 {_CONFIG}/providers.yaml", "generation/files", "edited"
    ),
    "a link that leads elsewhere": Fault(
        f"cp -a $(readlink {_CONFIG}) /etc/ai-backend-generations/0123 && readlink {_CONFIG} > /root/link && "
        f"ln -sfn /etc/ai-backend-generations/0123 {_CONFIG}",
        f"ln -sfn $(cat /root/link) {_CONFIG} && rm -r /etc/ai-backend-generations/0123",
        "generation/files",
        "edited",
    ),
    "a probe with too little time": Fault(
        _changed(_ROUTES, 'entries["three"]["probe"]["timeout"] = 0.001'),
        _unchanged(_ROUTES),
        "route/three/chat",
        "slow",
    ),
    "a probe that is too long for its model": Fault(
        _changed(_ROUTES, 'entries["wide"]["probe"]["prompt"] = "Who are you? " * 400'),
        _unchanged(_ROUTES),
        "route/wide/chat",
        "refused",
    ),
    "a promise that the model does not keep": Fault(
        _changed(_ROUTES, 'entries["wide"]["tools"] = True'), _unchanged(_ROUTES), "route/wide/tools", "promise"
    ),
    "a gateway that runs with a changed configuration": Fault(
        _changed(
            _GATEWAY,
            'models.append({**entries["wide@wide"], "model_name": "one-more", "model_info": {"id": "one-more"}}); '
            'entries["two@two"]["litellm_params"]["weight"] = 0',
        )
        + f"; {_RESTART_GATEWAY}",
        f"{_unchanged(_GATEWAY)}; {_RESTART_GATEWAY}",
        "gateway/models",
        "models",
        (("route/pair/balance", "unshared"), ("generation/files", "edited")),
    ),
    # Processes
    "a server that was stopped": Fault(
        f"systemctl stop {UNIT}",
        f"systemctl start {UNIT}",
        _active("active"),
        "unit-stopped",
        (("route/two@two/alone", "backend-down"), (_active("binary"), "no-process")),
    ),
    "no server to fall back to": Fault(
        f"systemctl stop {FIRST}",
        f"systemctl start {FIRST}",
        _active("active", FIRST),
        "unit-stopped",
        (("gateway/fallback", "no-fallback"),),
    ),
    "no server at all": Fault(
        "systemctl stop 'llama-server@*'",
        f"systemctl start {' '.join(f'llama-server@{name}' for name in PORTS)}",
        _active("active"),
        "unit-stopped",
        (("gateway/cache", "cache-untried"),),
    ),
    "a server that is frozen": Fault(
        f"systemctl kill --signal=STOP {UNIT}", f"systemctl kill --signal=CONT {UNIT}", _active("ready"), "unit-hangs"
    ),
    "a server that died for good": Fault(
        f"{_drop_in('Restart=no')} && {_DEAD}; sleep 1",
        f"{_without_drop_in()} {_RESTART}",
        _active("active"),
        "unit-dies",
    ),
    "a server that dies at its start": Fault(
        f"{_drop_in(_NOTHING_ELSE + '/bin/false')}; {_RESTART}; sleep 1",
        f"{_without_drop_in()} {_RESTART}",
        _active("active"),
        "unit-dies",
    ),
    "a server that dies again and again": Fault(
        f"for each in 1 2 3; do {_DEAD}; sleep 3; {UNTIL_ACTIVE}; done",
        _RESTART,
        _active("restarts"),
        "unit-crashed",
    ),
    "a server that crashes by itself": Fault(
        f"for each in 1 2; do systemctl kill --kill-whom=main --signal=SEGV {UNIT}; sleep 3; {UNTIL_ACTIVE}; done",
        _RESTART,
        _active("restarts"),
        "unit-segfault",
    ),
    "an upgrade under a running program": Fault(
        # As dpkg does it: the new file takes the name of the old one.
        "cp -a /usr/sbin/haproxy /usr/sbin/haproxy.dpkg-new && mv /usr/sbin/haproxy.dpkg-new /usr/sbin/haproxy",
        "systemctl restart ai-backend-front",
        "unit/ai-backend-front.service/binary",
        "needs-restart",
    ),
    "a package that was removed": Fault(
        "cd /var/lib/dpkg && cp -a status /root/dpkg && "
        "sed -i '/^Package: redis-server$/,/^Status/s/^Status:.*/Status: deinstall ok config-files/' status",
        "cp -a /root/dpkg /var/lib/dpkg/status",
        "host/packages",
        "packages",
    ),
    "a server that would not start at boot": Fault(
        f"rm {_WANTS}/{UNIT} && systemctl daemon-reload",
        f"ln -s /etc/systemd/system/{UNIT} {_WANTS}/{UNIT} && systemctl daemon-reload",
        _active("enabled"),
        "unit-disabled",
    ),
    "a server that is gone": Fault(
        f"systemctl stop {UNIT}; rm /etc/systemd/system/{UNIT} && systemctl daemon-reload",
        f"ln -s {_CONFIG}/units/{UNIT} /etc/systemd/system/{UNIT} && systemctl daemon-reload; systemctl start {UNIT}",
        _active("active"),
        "unit-gone",
    ),
    "a server that runs something older": Fault(
        f"{_drop_in('Environment=AI_BACKEND_DIGEST=0123456789abcdef')} && {_RESTART} && {UNTIL_ACTIVE}",
        f"{_without_drop_in()} {_RESTART}",
        _active("digest"),
        "unit-older",
    ),
    "a server that does not say what it runs": Fault(
        f"{_drop_in('UnsetEnvironment=AI_BACKEND_DIGEST')} && {_RESTART} && {UNTIL_ACTIVE}",
        f"{_without_drop_in()} {_RESTART}",
        _active("digest"),
        "unit-unknown",
    ),
    "a stranger at a server's port": Fault(
        f"systemctl stop {UNIT}; {_IN_UNIT} python3 -m http.server {PORT} --bind 127.0.0.1; sleep 1",
        f"systemctl stop fault; systemctl start {UNIT}",
        _active("port"),
        "port-taken",
    ),
    "nobody at a server's port": Fault(
        f"{_drop_in(_NOTHING_ELSE + '/bin/sleep infinity')}; {_RESTART}",
        f"{_without_drop_in()} {_RESTART}",
        _active("port"),
        "port-silent",
        ((_active("ready"), "unit-unready"),),
    ),
    "a server that opens another port": Fault(
        f"{_drop_in(_ANOTHER_PORT)} && {_RESTART} && {UNTIL_ACTIVE}",
        f"{_without_drop_in()} {_RESTART}",
        "host/listeners",
        "listener",
    ),
    "an instance of the gateway that was stopped": Fault(
        "systemctl stop litellm@b", "systemctl start litellm@b", "unit/litellm@b.service/active", "unit-stopped"
    ),
    "an instance of the gateway that gets no work": Fault(
        "printf 'set server gateways/a state maint\\n' | python3 -c '"
        'import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect("/run/ai-backend-front/runtime.sock"); '
        "s.sendall(sys.stdin.buffer.read()); s.recv(99)'",
        "systemctl restart ai-backend-front",
        "gateway/servers",
        "instance-out",
    ),
    "no front": Fault(
        "systemctl stop ai-backend-front",
        "systemctl start ai-backend-front",
        "gateway/models",
        "gateway-down",
        (("route/one/chat", "route-gateway-down"),),
    ),
    "a timer that was stopped": Fault(
        "systemctl stop ai-backend-verify.timer",
        "systemctl start ai-backend-verify.timer",
        "unit/ai-backend-verify.timer/active",
        "unit-stopped",
    ),
    # Network
    "a firewall before a server": Fault(_dropped(PORT), _NFT_GONE, _active("ready"), "unit-unreachable"),
    "a firewall between the gateway and a server": Fault(
        _refused_to_others(8083), _NFT_GONE, "route/three/chat", "backend-unreachable"
    ),
    "a firewall between the gateway and a server with a fallback": Fault(
        _refused_to_others(8081),
        _NFT_GONE,
        "route/one/chat",
        "elsewhere",
        (("route/pair/balance", "sharer-silent"),),
    ),
    "a firewall before the gateway": Fault(_dropped(4000), _NFT_GONE, "gateway/models", "gateway-unreachable"),
    # Disk
    "a full disk": Fault(
        "mount -t tmpfs -o size=64m tmpfs /var/cache/ai-backend && fallocate -l 63M /var/cache/ai-backend/large",
        "umount /var/cache/ai-backend",
        "host/disk",
        "disk",
    ),
    "a disk without inodes": Fault(
        "mount -t tmpfs -o size=4g,nr_inodes=2 tmpfs /var/cache/ai-backend && touch /var/cache/ai-backend/last",
        "umount /var/cache/ai-backend",
        "host/disk",
        "disk",
    ),
    "a full /run": Fault(
        # As large as it is by default, it would take gigabytes of memory to fill.
        "mount -o remount,size=32m /run && head -c 64M /dev/zero > /run/large",
        "rm -f /run/large; mount -o remount,size=2g /run",
        "host/disk",
        "disk",
    ),
    # The clock
    "a clock that is behind what was written": Fault(
        # Nobody sets the clock of a lab host: what it has written is set ahead.
        f"touch -d tomorrow $(readlink -f {_CONFIG})/providers.yaml",
        f"touch $(readlink -f {_CONFIG})/providers.yaml",
        "host/clock",
        "clock",
    ),
    # Models
    "a model with another byte": Fault(
        f"cp -a {_MODEL} /root/two.gguf && printf X | dd of={_MODEL} bs=1 seek=100 conv=notrunc status=none",
        f"cp -a /root/two.gguf {_MODEL}.new && mv {_MODEL}.new {_MODEL}",
        "model/two.gguf-*/digest",
        "model",
    ),
    "a model that is gone": Fault(
        f"mv {_MODEL} /root/two.gguf",
        f"mv /root/two.gguf {_MODEL}",
        "model/two.gguf-*/digest",
        "model",
    ),
    "another model in its place": Fault(
        f"cp -a {_MODEL} /root/two.gguf && curl -so {_MODEL} $(cat /root/mirror)/stranger.gguf && {_RESTART} && "
        f"{UNTIL_ACTIVE}",
        f"cp -a /root/two.gguf {_MODEL}.new && mv {_MODEL}.new {_MODEL} && {_RESTART}",
        "route/two@two/alone",
        "other-words",
        (("model/two.gguf-*/digest", "model"),),
    ),
    # Installs
    "a file more beside a program": Fault(
        f"touch {_CONFIG}/install/llama-cpp-b1/libmore.so",
        f"rm {_CONFIG}/install/llama-cpp-b1/libmore.so",
        "install/llama-cpp-b1/files",
        "install",
    ),
    # Permissions
    "a model that its server may not read": Fault(
        f"chmod 000 {_MODEL} && {_RESTART}; sleep 2",
        f"chmod 644 {_MODEL} && systemctl reset-failed {UNIT}; {_RESTART}",
        _active("active"),
        "unit-dies",
    ),
    "a program that nobody may run": Fault(
        f"chmod 644 {_CONFIG}/install/llama-cpp-b1/llama-server && {_RESTART}; sleep 1",
        f"chmod 755 {_CONFIG}/install/llama-cpp-b1/llama-server && systemctl reset-failed {UNIT}; {_RESTART}",
        _active("active"),
        "unit-dies",
    ),
    # Keys
    "no key": Fault(f"mv {_SECRET} /root/key", f"mv /root/key {_SECRET}", "gateway/models", "key-missing"),
    "another key": Fault(
        f"cp -a {_SECRET} /root/key && sed -i 's/sk-/sk-another-/' {_SECRET}",
        f"cp -a /root/key {_SECRET}",
        "gateway/models",
        "key-differs",
        (("gateway/cache", "cache-untried"),),
    ),
    "somebody at the gateway's port who asks for no key": Fault(
        f"systemctl stop ai-backend-front; {_IN_UNIT} python3 -c '{_ANSWERS_ANYTHING}'; sleep 1",
        "systemctl stop fault; systemctl start ai-backend-front",
        "gateway/no-key",
        "open-door",
    ),
    # Redis
    "no Redis": Fault(f"systemctl stop {_REDIS}", f"systemctl start {_REDIS}", "gateway/cache", "cache-down"),
    "a frozen Redis": Fault(
        f"systemctl kill --signal=STOP {_REDIS}",
        f"systemctl kill --signal=CONT {_REDIS}",
        _active("ready", _REDIS),
        "unit-hangs",
        (("gateway/cache", "cache-down"),),
    ),
    "a Redis that takes nothing more": Fault(
        _redis("config set maxmemory 1"), _redis("config set maxmemory 256mb"), "gateway/cache", "cache-forgets"
    ),
    "a Redis with another password": Fault(
        # Who is connected stays so, and would notice later.
        f"printf 'CONFIG SET requirepass another-password\\nCLIENT KILL TYPE normal\\n' | {_redis('')}",
        f"systemctl restart {_REDIS}",
        "gateway/cache",
        "cache",
    ),
}

AFTER_A_REBOOT = {
    "a server that does not start at boot": Fault(
        f"rm {_WANTS}/{UNIT}",
        f"ln -s /etc/systemd/system/{UNIT} {_WANTS}/{UNIT} && systemctl daemon-reload; systemctl start {UNIT}",
        _active("active"),
        "unit-stopped",
    ),
    "a model that is gone since": Fault(
        f"mv {_MODEL} /root/two.gguf",
        f"mv /root/two.gguf {_MODEL}; systemctl reset-failed {UNIT}; {_RESTART}",
        _active("active"),
        "unit-dies",
    ),
}
"""Those that show once the host has booted again."""
