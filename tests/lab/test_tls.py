"""TLS on the endpoint of a real host: what clients get, a renewal under load, and what the verdict says of a bad one.

The tests follow one another on one host: each begins with what the one before has left.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.certificates import issue
from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, deploy, failures, inventory_file, main_pids, verdict
from tests.lab.https import NAME, NOTICED_SECONDS, Https, serial
from tests.lab.inventory import says
from tests.lab.steady_load import RATE, steady_load
from tests.lab.traffic import Gateway
from tests.labhost import LabHost

FRONT = "ai-backend-front.service"
LOCAL_PORT = 4009
CHAT = "/v1/chat/completions"


def stack(folder: Path, https: Https) -> Path:
    cors = "Cors(origins=['https://chat.example'])"
    gateway = f"{{'bind': '0.0.0.0', 'port': {https.port}, 'tls': {https.tls}, 'cors': {cors}}}"
    imports = "from roles.litellm import Cors, Tls\n"
    return inventory_file(folder, f"{imports}hosts = [lab_host(lab_stack(gateway={gateway}))]")


def found_of(host: LabHost) -> Mapping[str, str]:
    """Check → code, of those that do not hold."""
    return {check["id"]: check["code"] for check in verdict(host)["checks"] if check["ok"] is not True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def first(folder: Path) -> tuple[Path, Path]:
    return issue(folder, "first", NAME)


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    return new_module_host("tls", prepared=True)


@pytest.fixture(scope="module")
def https(host: LabHost, folder: Path, first: tuple[Path, Path]) -> Https:
    https = Https(host)
    refused = deploy(host, inventory=stack(folder, https))
    assert refused.status == 1
    assert f"it has no file {https.certificate} that can be read: put it there first" in refused.output
    assert host.run("ls /etc/ai-backend", check=False).stdout == ""
    https.put(first)
    deploy(host, inventory=stack(folder, https)).must_pass()
    return https


def test_clients_chat_over_tls_and_http_2_and_the_host_itself_without(
    host: LabHost, https: Https, folder: Path, first: tuple[Path, Path]
) -> None:
    key = host.run("cut -d'\"' -f2 /var/lib/ai-backend/secrets/master-key.env").stdout.strip()
    (folder / "headers").write_text(f"Authorization: Bearer {key}\nContent-Type: application/json\n")
    body = {"model": "tiny-native", "messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 64}
    chat = ["-H", f"@{folder}/headers", "-d", json.dumps(body)]
    for version, number in (("--http2", "2"), ("--http1.1", "1.1")):
        answer, _, told = https.curl(first, CHAT, version, "-w", "\n%{http_version}", *chat).rpartition("\n")
        assert json.loads(answer)["choices"][0]["message"]["content"].strip() == says("native.gguf")
        assert told == number
    refused = https.curl(first, CHAT, "-i", "-d", "{}")
    assert refused.startswith("HTTP/2 401")
    assert "invalid_api_key" in refused
    assert "strict-transport-security: max-age=" in refused
    origin = https.curl(first, CHAT, "-i", "-H", "Origin: https://chat.example", *chat).lower().splitlines()
    allowed = [line for line in origin if line.startswith("access-control-allow-")]
    assert allowed == ["access-control-allow-origin: https://chat.example"]
    old = subprocess.run(["curl", "-sS", "--tls-max", "1.1", "-k", f"https://{host.address}/"], capture_output=True)
    assert old.returncode == 35
    assert (
        host.run(f"curl -sS -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{LOCAL_PORT}/ai-backend-front").stdout
        == "200"
    )
    assert failures(verdict(host)) == []


def test_the_key_is_for_the_front_alone(host: LabHost, https: Https) -> None:
    joined = "/var/lib/ai-backend/tls"
    modes = host.run(f"stat -c '%a %U %G' {joined} {joined}/endpoint.pem").stdout.split("\n")
    assert modes[:2] == ["750 root ai-backend-front", "640 root ai-backend-front"]
    for user in ("nobody", "ai-backend-gateway"):
        assert host.run(f"setpriv --reuid={user} --clear-groups cat {joined}/endpoint.pem", check=False).returncode != 0


def test_a_second_run_changes_nothing(host: LabHost, https: Https, folder: Path) -> None:
    assert deploy(host, inventory=stack(folder, https)).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")


@pytest.mark.soak
def test_a_renewal_under_load_loses_no_request(host: LabHost, https: Https, folder: Path, soak: bool) -> None:
    renewed = [issue(folder, f"renewed-{number}", NAME) for number in range(3)]
    pid = main_pids(host, [FRONT])
    gateway = Gateway(host, port=https.port, scheme="https")
    with steady_load(gateway, {"tiny-native": says("native.gguf")}, RATE[soak]) as load:
        for pair in renewed:
            time.sleep(5)
            https.put(pair)
            print("noticed after", https.wait_for_serial(serial(pair[0].read_text())))
    print(load)
    assert load.broken == []
    assert main_pids(host, [FRONT]) == pid
    assert failures(verdict(host)) == []


def test_a_renewal_that_went_wrong_keeps_the_one_before(host: LabHost, https: Https, folder: Path) -> None:
    good, other = issue(folder, "good", NAME), issue(folder, "other", NAME)
    before = https.served()
    https.put((good[0], other[1]))
    failed = '[ "$(systemctl show -P ActiveState ai-backend-certificate)" = failed ]'
    host.run(f"timeout {NOTICED_SECONDS} sh -c 'until {failed}; do sleep 0.2; done'", timeout=40)
    log = host.run("journalctl -b -o cat -u ai-backend-certificate -n 20").stdout
    assert f"{https.certificate} and {https.key} do not belong together. The certificate before stays in use." in log
    # A restart of the front, as after a reboot, keeps it too.
    host.run(f"systemctl restart {FRONT}; sleep 1", timeout=60)
    assert https.served() == before
    assert found_of(host) == {"gateway/certificate": "certificate-differs"}
    https.put(good)
    https.wait_for_serial(serial(good[0].read_text()))
    time.sleep(2)
    assert failures(verdict(host)) == []


def test_a_certificate_that_ends_soon_is_told(host: LabHost, https: Https, folder: Path) -> None:
    short = issue(folder, "short", NAME, days=5)
    https.put(short)
    https.wait_for_serial(serial(short[0].read_text()))
    (check,) = [each for each in verdict(host)["checks"] if each["ok"] is not True]
    assert (check["id"], check["code"]) == ("gateway/certificate", "certificate-expires")
    assert "4 days are left" in check["seen"]
    assert check["causes"][0]["cause"].startswith("nobody has renewed it")
