"""The way out of a host: a proxy that wants a login, and an authority that only the inventory names.

The server's name leads nowhere, so that what arrives came through the proxy.
"""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from roles.contract.outbound import CA_VARIABLES, NO_PROXY_VARIABLES, PROXY_VARIABLES, WayOut
from roles.contract.recipes import HubModelRecipe, ModelRecipe
from roles.host.programs import console
from roles.host.programs.console import HostError, say
from roles.host.programs.installers import install
from roles.host.programs.installers.hub import fetch_from_hub
from roles.host.programs.installers.way_out import use_way_out
from roles.host.programs.processes import run
from tests.certificates import issue_signed
from tests.labhost.faulty_mirror import FaultyMirror
from tests.labhost.hub import publish
from tests.labhost.paths import REPOSITORY
from tests.labhost.proxy import LoginProxy, with_tls
from tests.requests import make_install

NAME = "mirror.invalid"
LOGIN = "ada:pass/word@7 %"
WITH_LOGIN = "ada:pass%2Fword%407%20%25"
CONTENT = b"weights" * 1000


@dataclass
class Outside:
    """A server with TLS, the proxy to it, and who signed the server's certificate."""

    mirror: FaultyMirror
    proxy: LoginProxy
    authority: str

    def way(self, login: str = WITH_LOGIN, *, trusting: bool = True, no_proxy: tuple[str, ...] = ()) -> WayOut:
        address = self.proxy.url.removeprefix("http://")
        return WayOut(proxy=f"http://{login}@{address}", no_proxy=no_proxy, ca=self.authority if trusting else None)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    served = tmp_path / "served"
    served.mkdir()
    authority, *pair = issue_signed(tmp_path, NAME)
    with FaultyMirror(served, "127.0.0.1") as mirror:
        with_tls(mirror, *pair)
        with LoginProxy("127.0.0.1", LOGIN, {NAME: ("127.0.0.1", mirror.server_port)}) as proxy:
            yield Outside(mirror, proxy, authority.read_text())


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program's own process ends with what was set in it; this one goes on."""
    for name in (*PROXY_VARIABLES, *NO_PROXY_VARIABLES, *CA_VARIABLES):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(console, "_hidden", set())
    monkeypatch.setattr("roles.host.programs.installers.download.time.sleep", lambda seconds: None)


def test_a_file_comes_through_the_proxy_from_a_server_that_only_the_inventory_trusts(
    outside: Outside, tmp_path: Path
) -> None:
    (outside.mirror.folder / "n.gguf").write_bytes(CONTENT)
    recipe = ModelRecipe(url=f"https://{NAME}/n.gguf", sha256=hashlib.sha256(CONTENT).hexdigest(), filename="n.gguf")
    request = make_install(tmp_path / "installs/0123", recipe, "model n", way_out=outside.way())
    install.main(request)
    assert (tmp_path / "installs/0123/n.gguf").read_bytes() == CONTENT
    assert outside.proxy.let_through == [f"CONNECT {NAME}"]


def test_a_hub_is_reached_so_and_its_token_is_not_the_proxys_to_see(outside: Outside, tmp_path: Path) -> None:
    publish(outside.mirror.folder, "org/model", {"model.safetensors": CONTENT})
    outside.mirror.faults.wants_token = "hf_0123456789"
    use_way_out(outside.way(), str(tmp_path / "cache"))
    recipe = HubModelRecipe(
        endpoint=f"https://{NAME}", repository="org/model", revision="main", files=("*",), sha256=None
    )
    (tmp_path / "model").mkdir()
    fetch_from_hub(recipe, tmp_path / "model", "a model", "hf_0123456789")
    assert (tmp_path / "model/model.safetensors").read_bytes() == CONTENT
    assert {*outside.proxy.let_through} == {f"CONNECT {NAME}"}


NEVER = ModelRecipe(url=f"https://{NAME}/n.gguf", sha256="0" * 64, filename="n.gguf")


def test_a_login_that_the_proxy_refuses_is_told_with_the_fix(outside: Outside, tmp_path: Path) -> None:
    wrong = outside.way("ada:another-password")
    with pytest.raises(HostError, match="fix `login` of the stack's `outbound`") as refused:
        install.main(make_install(tmp_path / "installs/0123", NEVER, "model n", way_out=wrong))
    assert "another-password" not in str(refused.value)
    assert outside.proxy.refused == 1  # it is not tried again: some proxies lock an account


def test_a_server_that_is_not_trusted_is_told_with_the_fix(outside: Outside, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="give its authority as `ca` of the stack's `outbound`"):
        install.main(make_install(tmp_path / "installs/0123", NEVER, "model n", way_out=outside.way(trusting=False)))


def test_loopback_and_what_is_named_are_reached_without_the_proxy(outside: Outside, tmp_path: Path) -> None:
    (tmp_path / "near").mkdir()
    (tmp_path / "near/n.gguf").write_bytes(CONTENT)
    with FaultyMirror(tmp_path / "near", "127.0.0.1") as near:
        recipe = ModelRecipe(url=f"{near.url}/n.gguf", sha256=hashlib.sha256(CONTENT).hexdigest(), filename="n.gguf")
        install.main(make_install(tmp_path / "installs/0123", recipe, "model n", way_out=outside.way()))
    assert outside.proxy.let_through == []
    use_way_out(outside.way(no_proxy=("corp.example", "10.1.2.3")), str(tmp_path / "cache"))
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "localhost,127.0.0.1,::1,corp.example,10.1.2.3"


def test_a_redirect_past_the_proxy_does_not_take_its_password_along(outside: Outside, tmp_path: Path) -> None:
    publish(tmp_path / "near", "org/model", {"model.safetensors": CONTENT})
    with FaultyMirror(tmp_path / "near", "127.0.0.1") as near, FaultyMirror(tmp_path / "near", "127.0.0.1") as far:
        heard: list[str | None] = []
        served = near.RequestHandlerClass.do_GET  # type: ignore[attr-defined]

        class Listening(near.RequestHandlerClass):  # type: ignore[name-defined, misc]
            def do_GET(self) -> None:
                heard.append(self.headers.get("Proxy-Authorization"))
                served(self)

        near.RequestHandlerClass = Listening
        far.faults.redirect_to = near.url
        outside.proxy.ways = {"far.invalid": ("127.0.0.1", far.server_port)}
        use_way_out(outside.way(), str(tmp_path / "cache"))
        recipe = HubModelRecipe(
            endpoint="http://far.invalid", repository="org/model", revision="main", files=("*",), sha256=None
        )
        (tmp_path / "model").mkdir()
        fetch_from_hub(recipe, tmp_path / "model", "a model", None)
    assert heard == [None]


def wheel(folder: Path) -> str:
    """A package with one module; its digest."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    about = {"METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n", "WHEEL": "Wheel-Version: 1.0\n"}
    about["WHEEL"] += "Generator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {"tiny.py": "", **{f"tiny-1.0.dist-info/{name}": text for name, text in about.items()}}
    files["tiny-1.0.dist-info/RECORD"] = "".join(f"{name},,\n" for name in (*files, "tiny-1.0.dist-info/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    (folder / "links.html").write_text(
        f'<!DOCTYPE html><html><body><a href="{path.name}">{path.name}</a></body></html>'
    )
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("program", ["uv", "pip"])
def test_python_packages_come_that_way(program: str, outside: Outside, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(f"tiny==1.0 --hash=sha256:{wheel(outside.mirror.folder)}\n")
    use_way_out(outside.way(), str(tmp_path / "cache"))
    tool = [str(REPOSITORY / ".tools/bin" / program)]
    tool += ["pip", "install", "--no-config", "--no-cache"] if program == "uv" else ["install", "--no-cache-dir"]
    where = ["--no-index", "--find-links", f"https://{NAME}/links.html", "--target", str(tmp_path / "made")]
    run(
        [*tool, "--require-hashes", *where, "-r", str(tmp_path / "requirements.txt")],
        what="installing",
        environment={"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", "PIP_CONFIG_FILE": os.devnull},
    )
    assert (tmp_path / "made/tiny.py").exists()
    assert {*outside.proxy.let_through} == {f"CONNECT {NAME}"}


def test_what_commands_say_of_the_password_is_not_shown(
    outside: Outside, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use_way_out(outside.way(), str(tmp_path / "cache"))
    say(f"no answer from {os.environ['https_proxy']}")
    with pytest.raises(HostError) as failed:
        run(["/bin/sh", "-c", "echo $https_proxy; echo 'pass/word@7 %'; exit 3"], what="asking")
    for told in (capsys.readouterr().out, str(failed.value)):
        assert "[not shown]" in told
        assert "word" not in told


def test_the_hosts_own_authorities_are_still_trusted(outside: Outside, tmp_path: Path) -> None:
    bundle = use_way_out(outside.way(), str(tmp_path / "cache"))
    assert bundle == tmp_path / "cache/authorities.pem"
    own = Path("/etc/ssl/certs/ca-certificates.crt").read_text()
    assert bundle.read_text() == own + outside.authority
    assert {os.environ[name] for name in CA_VARIABLES} == {str(bundle)}


def test_curl_which_builds_use_goes_that_way_too(outside: Outside, tmp_path: Path) -> None:
    (outside.mirror.folder / "source.txt").write_text("a source")
    use_way_out(outside.way(), str(tmp_path / "cache"))
    done = subprocess.run(["curl", "-sS", f"https://{NAME}/source.txt"], capture_output=True, text=True, timeout=30)
    assert done.stdout == "a source", done.stderr
    assert base64.b64decode(outside.proxy.wanted.split()[1]).decode() == LOGIN
