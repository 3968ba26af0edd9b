"""What a user of the host without rights may try against what the stack runs there. Each is a shell script that
succeeds where the user gets what it wants."""

from __future__ import annotations

from dataclasses import dataclass

USER = "mallory"
_SECRETS = "/var/lib/ai-backend/secrets"
_JSON = "-H content-type:application/json"
_CHAT = _JSON + """ -d '{"messages": [{"role": "user", "content": "x"}], "max_tokens": 1, "model": "tiny"}'"""


@dataclass(frozen=True)
class Try:
    """One script.

    Attributes:
        works_for_root: it changes nothing, and as root it must succeed: it fails for no other reason than the user's
            lack of rights.
    """

    script: str
    works_for_root: bool = True


def _ask(address: str, more: str = "") -> str:
    return f"curl -sf -m 20 -o /dev/null http://{address} {more}"


def _with_key(unit: str, variable: str, then: str) -> str:
    return f"""key=$(sed -n 's/^{variable}="\\(.*\\)"$/\\1/p' {_SECRETS}/{unit}.env); {then}"""


def _pid(unit: str) -> str:
    return f"$(systemctl show -P MainPID {unit})"


def _python(program: str) -> str:
    return f"/usr/bin/python3 -c '{program}'"


_BEARER = '-H "Authorization: Bearer $key"'
_NATIVE, _OLLAMA, _A = "llama-server@native.service", "ollama.service", "litellm@a.service"
_REDIS = "ai-backend-redis"
_SOCKET = "/run/ai-backend-front/runtime.sock"

TRIES: dict[str, Try] = {
    # What answers on loopback.
    "ask llama-server": Try(
        _with_key(
            "llama-server@native", "LLAMA_API_KEY", _ask("127.0.0.1:8080/v1/chat/completions", f"{_CHAT} {_BEARER}")
        )
    ),
    "read llama-server's properties": Try(
        _with_key("llama-server@native", "LLAMA_API_KEY", _ask("127.0.0.1:8080/props", _BEARER))
    ),
    "see a gateway instance live": Try(_ask("127.0.0.1:4001/health/liveliness")),
    "see the other instance live": Try(_ask("127.0.0.1:4002/health/liveliness")),
    "open an instance's administration": Try(_ask("127.0.0.1:4001/ui/ -L")),
    "list Ollama's models": Try(_ask("127.0.0.1:11434/api/tags")),
    "ask Ollama": Try(_ask("127.0.0.1:11434/api/chat", _CHAT.replace('"tiny"', '"tiny-ollama:latest"'))),
    "remove Ollama's model": Try(
        _ask("127.0.0.1:11434/api/delete", """-X DELETE -d '{"model": "tiny-ollama:latest"}'"""), works_for_root=False
    ),
    "pull a model into Ollama": Try(
        _ask("127.0.0.1:11434/api/pull", """-d '{"model": "198.18.0.1:1/library/x"}'"""), works_for_root=False
    ),
    "make a model in Ollama": Try(
        _ask("127.0.0.1:11434/api/create", """-d '{"model": "planted", "from": "tiny-ollama:latest"}'"""),
        works_for_root=False,
    ),
    "talk to Redis": Try(_with_key(_REDIS, "REDIS_PASSWORD", 'REDISCLI_AUTH="$key" redis-cli ping | grep -q PONG')),
    "read cached answers": Try(
        _with_key(_REDIS, "REDIS_PASSWORD", 'REDISCLI_AUTH="$key" redis-cli dbsize | grep -q "^[0-9]"')
    ),
    "plant a cached answer": Try("redis-cli set planted answer | grep -q OK", works_for_root=False),
    "take Redis's password away": Try("redis-cli config set requirepass '' | grep -q OK", works_for_root=False),
    "command the front": Try(
        _python(
            f'import socket; s = socket.socket(socket.AF_UNIX); s.connect("{_SOCKET}"); s.send(b"show info\\n"); '
            "assert s.recv(9)"
        )
    ),
    # Secrets and processes.
    "list the secrets": Try(f"ls {_SECRETS}"),
    "read the master key": Try(f"cat {_SECRETS}/master-key.env"),
    "link a secret elsewhere": Try(f"ln {_SECRETS}/master-key.env /tmp/linked", works_for_root=False),
    "read a gateway's environment": Try(f"cat /proc/{_pid(_A)}/environ"),
    "read a backend's environment": Try(f"cat /proc/{_pid(_NATIVE)}/environ"),
    "read a gateway's memory": Try(_python('open("/proc/PID/mem", "rb")').replace("PID", f"'{_pid(_A)}'")),
    "see a backend's open files": Try(f"ls /proc/{_pid(_NATIVE)}/fd/"),
    "signal a gateway": Try(f"kill -0 {_pid(_A)}"),
    "signal the front": Try(f"kill -0 {_pid('ai-backend-front.service')}"),
    "signal Ollama": Try(f"kill -0 {_pid(_OLLAMA)}"),
    "become the gateway": Try("setpriv --reuid ai-backend-gateway --clear-groups true"),
    "read the gateway's journal": Try(f"journalctl -q -n 5 -u {_A} | grep -q ."),
    # Files.
    "write into the generation": Try("touch /etc/ai-backend/planted", works_for_root=False),
    "turn the link": Try("ln -sfn /tmp /etc/ai-backend", works_for_root=False),
    "add a generation": Try("mkdir /etc/ai-backend-generations/planted", works_for_root=False),
    "add an install": Try("mkdir /opt/ai-backend/planted", works_for_root=False),
    "write into an install": Try("touch /etc/ai-backend/install/litellm/planted.pth", works_for_root=False),
    "take the lock": Try("mkdir /var/lib/ai-backend/lock", works_for_root=False),
    "add a model": Try("mkdir /var/lib/ai-backend/models/planted", works_for_root=False),
    "write a verdict": Try("touch /var/lib/ai-backend/verdicts/planted.json", works_for_root=False),
    "rewrite the history": Try("echo x >> /var/lib/ai-backend/history.jsonl", works_for_root=False),
    "write into the package cache": Try("touch /var/cache/ai-backend/uv/planted", works_for_root=False),
    "write into the compiler's cache": Try("touch /var/cache/ai-backend/ccache/planted", works_for_root=False),
    "leave a download": Try("touch /var/cache/ai-backend/downloads/planted", works_for_root=False),
    "add a unit": Try("touch /run/systemd/system/planted.service", works_for_root=False),
    "make a runtime folder": Try("mkdir /run/ai-backend-planted", works_for_root=False),
    "say that a task is done": Try("echo x > /run/ai-backend-firewall/done", works_for_root=False),
    # systemd and the kernel.
    "stop a gateway": Try(f"systemctl --no-ask-password stop {_A}", works_for_root=False),
    "kill through systemd": Try(f"systemctl --no-ask-password kill {_A}", works_for_root=False),
    "bound a unit": Try(f"systemctl --no-ask-password set-property --runtime {_A} MemoryMax=1M", works_for_root=False),
    "stop a unit over the bus": Try(
        "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager StopUnit ss "
        f"{_OLLAMA} replace",
        works_for_root=False,
    ),
    "start a unit as root": Try("systemd-run --no-ask-password --wait true", works_for_root=False),
    "start a verification": Try("systemctl --no-ask-password start ai-backend-verify.service", works_for_root=False),
    "list the firewall": Try("/usr/sbin/nft list ruleset | grep -q ai_backend"),
    "remove the firewall": Try("/usr/sbin/nft delete table inet ai_backend", works_for_root=False),
    "reach Ollama from a namespace of its own": Try(
        f"unshare --user --map-root-user {_ask('127.0.0.1:11434/api/tags')}"
    ),
    "take a gateway's port too": Try(
        _python(
            "import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); "
            's.bind(("127.0.0.1", 4001)); s.listen()'
        ),
        works_for_root=False,
    ),
    "take all addresses of Ollama's port": Try(
        _python('import socket; s = socket.socket(socket.AF_INET6); s.bind(("::", 11434)); s.listen()'),
        works_for_root=False,
    ),
}
