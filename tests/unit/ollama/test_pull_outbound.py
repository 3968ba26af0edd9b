"""Ollama pulls by the way that the plan gives it: through a proxy with a login, past a company's authority."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from roles.contract.environment_file import parse_environment
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import EnvSecret, Outbound, TextFile
from roles.plan import resolve
from roles.rooms import plan_of
from tests.certificates import issue_signed
from tests.labhost.proxy import LoginProxy, with_tls
from tests.ollama_stand_in.process import running
from tests.ollama_stand_in.registry import ModelRegistry, publish
from tests.stacks import PLATFORM, route, small_stack

LOGIN = "ada:proxy-pass/word@7"
MODEL = "registry.invalid/library/far:latest"


@pytest.mark.parametrize(("login", "ends"), [(LOGIN, "success"), ("ada:another-password", "Proxy Authentication")])
def test_a_pull_goes_through_the_proxy(
    login: str, ends: str, tree: Path, gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXY_LOGIN", login)
    names = ("registry.invalid", "blobs.invalid")
    authority, *pair = issue_signed(tmp_path, *names)
    registry = ModelRegistry(tmp_path / "registry", "127.0.0.1", other_host="blobs.invalid")
    registry.scheme = "https"
    publish(registry.folder, "library/far", "latest", gguf)
    with_tls(registry, *pair)
    proxy = LoginProxy("127.0.0.1", LOGIN, dict.fromkeys(names, ("127.0.0.1", registry.server_port)))
    ollama = Ollama(release=OllamaRelease(version="0.32.15"), models=[OllamaModel(name=MODEL)])
    outbound = Outbound(proxy=proxy.url, login=EnvSecret("PROXY_LOGIN"), ca=TextFile(str(authority)))
    plan = plan_of(small_stack(providers=[ollama], routes=[route("far", "ollama")], aliases={}, outbound=outbound))
    generation = resolve(plan, PLATFORM)
    given = parse_environment(generation.files["env/ollama.service.env"].content.decode())
    certificates = tmp_path / "ca.pem"
    certificates.write_bytes(generation.files["outbound/ca.pem"].content)
    with registry, proxy, running(tree, tmp_path / "ollama", SSL_CERT_FILE=str(certificates), **given) as server:
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.port}/api/pull", json.dumps({"model": MODEL, "stream": False}).encode()
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            answer = opener.open(request, timeout=60).read().decode()
        except urllib.error.HTTPError as error:
            answer = error.read().decode()
    assert ends in answer
    if login == LOGIN:
        assert {*proxy.let_through} == {f"CONNECT {name}" for name in names}
        assert proxy.refused == 0
    else:
        assert proxy.let_through == []
        assert "another-password" not in answer
