"""Rotations of secrets under load: nobody with a valid key is refused, and the key before is refused afterwards.

The tests follow one another on one host: each begins with what the one before has left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, deploy, failures, inventory_file, main_pids, verdict
from tests.lab.webhook import webhook
from tests.labhost import Lab, LabHost

FRONT = "ai-backend-front.service"
A, B = "litellm@a.service", "litellm@b.service"
FIRST, SECOND, THIRD, FOURTH = (f"sk-lab-{name}-0123456789" for name in ("first", "second", "third", "fourth"))
AWKWARD = 'sk-lab-"a$b`c\\d%e,f;g&h=i#j-0123456789'
"""With all that a shell, systemd and HAProxy could take for something else."""
PAUSE = 0.05


@dataclass
class Steadfast:
    """A client that asks without a pause, and takes to the new key once the old one is refused."""

    url: str
    keys: list[str]
    asked: int = 0
    broken: list[str] = field(default_factory=list)

    def ask(self, client: httpx.Client) -> None:
        self.asked += 1
        try:
            seen = [self._status(client, key) for key in self.keys]
        except httpx.HTTPError as error:
            self.broken.append(f"request {self.asked}: {type(error).__name__} {error}")
            return
        if 200 not in seen:
            self.broken.append(f"request {self.asked}: {seen}")

    def _status(self, client: httpx.Client, key: str) -> int:
        return client.get(f"{self.url}/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code


@contextmanager
def asking(host: LabHost, *keys: str) -> Iterator[Steadfast]:
    client = Steadfast(f"http://{host.address}:4000", list(keys))
    with keeps_asking(client):
        yield client


@contextmanager
def keeps_asking(client: Steadfast) -> Iterator[None]:
    enough = threading.Event()

    def run() -> None:
        with httpx.Client(trust_env=False, timeout=30) as http:
            while not enough.is_set():
                client.ask(http)
                time.sleep(PAUSE)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def status(host: LabHost, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"http://{host.address}:4000/v1/models", headers=headers, trust_env=False).status_code


def generated(host: LabHost) -> str:
    return host.run("cut -d'\"' -f2 /var/lib/ai-backend/secrets/master-key.env").stdout.strip()


def stack(folder: Path, key: str, instances: int) -> Path:
    """The small stack with its key from there."""
    secret = {
        "variable": "EnvSecret('LAB_CLIENT_KEY')",
        "file": f"FileSecret('{folder}/key')",
        "host": "GeneratedSecret()",
    }[key]
    gateway = f"{{'instances': {instances}, 'master_key': {secret}}}"
    imports = "from roles.options import EnvSecret, FileSecret, GeneratedSecret\n"
    return inventory_file(folder, f"{imports}hosts = [lab_host(lab_stack(gateway={gateway}))]")


@pytest.fixture(scope="module")
def host(new_module_host: NewHost, tmp_path_factory: pytest.TempPathFactory) -> LabHost:
    host = new_module_host("rotation", prepared=True)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LAB_CLIENT_KEY", FIRST)
        deploy(host, inventory=stack(tmp_path_factory.mktemp("first"), "variable", 2)).must_pass()
    return host


ROTATIONS: dict[str, tuple[str, int, str, str | None]] = {
    "another variable": ("variable", 2, FIRST, AWKWARD),
    "from a variable to a file": ("file", 2, AWKWARD, SECOND),
    "from a file to the host's own, with one instance less": ("host", 1, SECOND, None),
    "from the host's own to a variable": ("variable", 1, "", THIRD),
    "another variable, with one instance more": ("variable", 2, THIRD, FOURTH),
}


@pytest.mark.parametrize(("source", "instances", "before", "after"), ROTATIONS.values(), ids=ROTATIONS)
def test_the_clients_key_changes_and_no_request_with_a_valid_one_fails(
    host: LabHost,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    instances: int,
    before: str,
    after: str | None,
) -> None:
    before = before or generated(host)
    running = main_pids(host, [FRONT, A])
    monkeypatch.setenv("LAB_CLIENT_KEY", after or "")
    (tmp_path / "key").write_text(f"{after}\n")
    inventory = stack(tmp_path, source, instances)
    with asking(host, before, *([after] if after else [])) as client:
        if after is None:
            # Nobody knows it before the host has made it: it is taken from there once it is valid.
            run = deploy(
                host,
                inventory=inventory,
                at="a key of master is valid now",
                do=lambda: client.keys.append(generated(host)),
            )
        else:
            run = deploy(host, inventory=inventory)
        ended = time.monotonic()
        run.must_pass()
        # 429 where the load has been refused too often with it just before.
        assert status(host, before) in (401, 429)
        assert time.monotonic() - ended < 1
    valid = after or generated(host)
    assert status(host, valid) == 200
    assert client.broken == []
    assert client.asked > 50
    assert main_pids(host, [FRONT, A]) == running
    assert failures(verdict(host)) == []
    assert {before, valid}.isdisjoint(run.output.split())


def test_a_second_run_changes_nothing(host: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CLIENT_KEY", FOURTH)
    run = deploy(host, inventory=stack(tmp_path, "variable", 2)).must_pass()
    assert run.results() == dict.fromkeys(OPERATIONS, "No changes")


def test_a_run_that_is_killed_in_between_is_healed_by_the_next(
    host: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_CLIENT_KEY", FIRST)
    inventory = stack(tmp_path, "variable", 2)
    # As one leaves it that dies between the two: both are valid.
    deploy(host, inventory=inventory).must_pass()
    socket = "/run/ai-backend-front/runtime.sock"
    digest = f"$(printf %s {SECOND} | sha256sum | cut -c -64)"
    script = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode())"
    )
    command = f'"add map /run/ai-backend-front/keys {digest} master:0\n"'
    host.run(f"python3 -c '{script}' {socket} {command}; rm /var/lib/ai-backend/activated")
    assert status(host, SECOND) == 200
    deploy(host, inventory=inventory).must_pass()
    # 429 where it has been refused too often before.
    assert status(host, SECOND) in (401, 429)
    assert status(host, FIRST) == 200


def test_the_key_is_read_anew_where_the_front_restarts(host: LabHost) -> None:
    host.run("systemctl restart ai-backend-front.service; sleep 2")
    assert (status(host, SECOND), status(host, FIRST)) == (401, 200)


BACKENDS_KEYS, PASSWORDS, TOKENS = (
    [f"lab-{what}-{number}-0123456789abcdef" for number in (1, 2)] for what in ("backend", "cache", "hub-token")
)


@dataclass
class Chatting(Steadfast):
    """A client that chats, each time with other words, so that no answer comes from the cache."""

    key: str = ""

    def ask(self, client: httpx.Client) -> None:
        self.asked += 1
        body = {
            "model": "tiny-native",
            "messages": [{"role": "user", "content": f"Who are you? ({self.asked})"}],
            "max_tokens": 32,
        }
        try:
            answer = client.post(
                f"{self.url}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {self.key}"}
            )
        except httpx.HTTPError as error:
            self.broken.append(f"request {self.asked}: {type(error).__name__} {error}")
            return
        if answer.status_code != 200:
            self.broken.append(f"request {self.asked}: {answer.status_code} {answer.text[:300]}")


def with_all_secrets(folder: Path) -> Path:
    """The small stack with a cache and a webhook, all of its secrets from the environment. Its routes fall back on each
    other: a backend whose key changes restarts."""
    text = """
from roles.redis import Redis
from roles.options import EnvSecret, HubFile, Verification

secret = EnvSecret
model = hub_model("native.gguf").model_copy(update={"token": secret("LAB_HF_TOKEN")})
small = lab_stack(
    native={"api_key": secret("LAB_BACKEND_KEY"), "model": HubFile(**dict(model))},
    gateway={"instances": 2, "master_key": secret("LAB_CLIENT_KEY")},
)
hosts = [
    lab_host(
        Stack(
            **{
                **dict(small),
                "cache": Redis(password=secret("LAB_REDIS_PASSWORD")),
                "verification": Verification(webhook=secret("LAB_WEBHOOK")),
            }
        )
    )
]
"""
    return inventory_file(folder, text)


def set_secrets(monkeypatch: pytest.MonkeyPatch, hook: str, **changed: str) -> None:
    first = {
        "LAB_CLIENT_KEY": FIRST,
        "LAB_BACKEND_KEY": BACKENDS_KEYS[0],
        "LAB_REDIS_PASSWORD": PASSWORDS[0],
        "LAB_HF_TOKEN": TOKENS[0],
        "LAB_WEBHOOK": hook,
    }
    for name, value in {**first, **changed}.items():
        monkeypatch.setenv(name, value)


def test_the_other_secrets_change_under_load_and_no_request_fails(
    host: LabHost, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = with_all_secrets(tmp_path)
    with webhook(lab) as (before, told_before), webhook(lab) as (after, told_after):
        set_secrets(monkeypatch, before)
        deploy(host, inventory=inventory).must_pass()
        client = Chatting(f"http://{host.address}:4000", [], key=FIRST)
        changes = {
            "LAB_HF_TOKEN": TOKENS[1],
            "LAB_WEBHOOK": after,
            "LAB_REDIS_PASSWORD": PASSWORDS[1],
            "LAB_BACKEND_KEY": BACKENDS_KEYS[1],
        }
        rotated: dict[str, str] = {}
        with keeps_asking(client):
            for name, value in changes.items():
                rotated[name] = value
                set_secrets(monkeypatch, before, **rotated)
                asked, pids = client.asked, main_pids(host, [FRONT])
                run = deploy(host, inventory=inventory).must_pass()
                print(name, client.asked - asked, client.broken)
                assert client.broken == [], name
                assert client.asked > asked
                assert main_pids(host, [FRONT]) == pids
                if name == "LAB_HF_TOKEN":
                    assert run.results() == dict.fromkeys(OPERATIONS, "No changes")
        assert failures(verdict(host)) == []
        # The old ones are refused, and the new ones are in use.
        models = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/v1/models -H 'Authorization: Bearer "
        assert [host.run(f"{models}{key}'").stdout for key in BACKENDS_KEYS] == ["401", "200"]
        ping = "redis-cli --no-auth-warning -a %s ping"
        assert ["PONG" in host.run(ping % word, check=False).stdout for word in PASSWORDS] == [False, True]
        verify = "systemctl start --wait ai-backend-verify"
        host.run(
            f"{verify}; systemctl stop llama-server@native; {verify}; systemctl start llama-server@native", timeout=200
        )
        assert (told_before, [each["status"] for each in told_after]) == ([], ["fail"])
    secrets = (*BACKENDS_KEYS, *PASSWORDS, *TOKENS)
    log = host.run("journalctl -b -o cat --no-pager; cat /proc/[0-9]*/cmdline", check=False).stdout
    assert [secret for secret in secrets if secret in log] == []
