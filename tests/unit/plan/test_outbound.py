"""The way out of a host, in a plan: who gets it, where its password is, and what can never work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from roles.host.requests import install_request, system_request
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import EnvSecret, OptionsError, Outbound, Stack, TextFile
from roles.plan import Generation, HostPlan, resolve
from roles.rooms import plan_of
from tests.certificates import issue_signed
from tests.requests import make_install
from tests.stacks import PLATFORM, native, route, small_stack

PROXY = "http://proxy.example.com:3128"
LOGIN = "ada:pass word/7"
WITH_LOGIN = "http://ada:pass%20word%2F7@proxy.example.com:3128"
OLLAMA = Ollama(release=OllamaRelease(version="0.32.15"), models=[OllamaModel(name="llama3.1:latest")])


@pytest.fixture(autouse=True)
def _login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_LOGIN", LOGIN + "!" * 16)
    monkeypatch.setenv("SHORT_FORM", "no-colon-in-here-at-all")


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """The certificate of a company's authority."""
    return issue_signed(tmp_path, "mirror.example.com")[0]


def stack(**outbound: Any) -> Stack:
    routes = [route("native", "native"), route("llama", "ollama")]
    return small_stack(providers=[native(), OLLAMA], routes=routes, aliases={}, outbound=Outbound(**outbound))


def resolved(stack: Stack) -> tuple[HostPlan, Generation]:
    plan = plan_of(stack)
    return plan, resolve(plan, PLATFORM, reveal=lambda _: LOGIN)


def test_the_password_is_in_ollamas_closed_file_and_nowhere_else() -> None:
    plan, generation = resolved(stack(proxy=PROXY, login=EnvSecret("PROXY_LOGIN"), no_proxy=["mirror.example.com"]))
    holding = [
        path for path, file in generation.files.items() if b"pass" in file.content and b"%20word" in file.content
    ]
    assert holding == ["env/ollama.service.env"]
    assert generation.files[holding[0]].mode == 0o600
    text = generation.files[holding[0]].content.decode()
    assert text == "".join(
        f'{name}="{WITH_LOGIN}"\n' for name in ("HTTPS_PROXY", "HTTP_PROXY", "http_proxy", "https_proxy")
    )
    unit = generation.files["units/ollama.service"].content.decode()
    assert "Environment=NO_PROXY=localhost,127.0.0.1,::1,mirror.example.com\n" in unit
    assert "word/7" not in repr(plan)
    assert "%20word" not in repr(plan)


def test_servers_that_fetch_nothing_get_nothing_of_it(company: Path) -> None:
    here = resolved(small_stack(providers=[native(), OLLAMA], routes=stack(proxy=PROXY).routes, aliases={}))[1]
    there = resolved(stack(proxy=PROXY, ca=TextFile(str(company))))[1]
    changed = {name for name, digest in there.unit_digests.items() if digest != here.unit_digests[name]}
    assert changed == {"ollama.service"}
    assert [each.digest for each in here.installs] == [each.digest for each in there.installs]


def test_ollama_trusts_the_authority_and_is_restarted_when_it_changes(company: Path) -> None:
    _, first = resolved(stack(ca=TextFile(str(company))))
    unit = first.files["units/ollama.service"].content.decode()
    assert "Environment=SSL_CERT_FILE=/etc/ai-backend/outbound/ca.pem\n" in unit
    assert first.files["outbound/ca.pem"].content == company.read_bytes()
    assert "PROXY" not in unit
    company.write_text(company.read_text() * 2)
    _, second = resolved(stack(ca=TextFile(str(company))))
    assert first.unit_digests["ollama.service"] != second.unit_digests["ollama.service"]


def test_installers_get_all_of_it(company: Path, tmp_path: Path) -> None:
    plan, generation = resolved(stack(proxy=f"{PROXY}/", login=EnvSecret("PROXY_LOGIN"), ca=TextFile(str(company))))
    uv = make_install(tmp_path, generation.installs[0].recipe, "x").uv
    made = install_request(plan.layout, generation.installs[0], uv, plan.outbound).way_out
    assert made == system_request(plan.layout, (), outbound=plan.outbound).way_out
    assert made is not None
    assert made.proxy == WITH_LOGIN.replace("@", "%21" * 16 + "@")
    assert made.ca == company.read_text()


def test_a_variable_that_the_option_gives_cannot_be_given_again() -> None:
    provider = OLLAMA.model_copy(update={"environment": {"HTTPS_PROXY": PROXY}})
    twice = small_stack(
        providers=[provider], routes=[route("llama", "ollama")], aliases={}, outbound=Outbound(proxy=PROXY)
    )
    with pytest.raises(OptionsError, match="`HTTPS_PROXY` is given by the plan itself"):
        plan_of(twice)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({}, "give a `proxy`, a `ca`, or both", id="nothing"),
        pytest.param({"no_proxy": ["a.example"]}, "`no_proxy` is of no use without `proxy`", id="no proxy"),
        pytest.param({"proxy": "https://proxy.example.com"}, "is no address of a proxy, which speaks http", id="https"),
        pytest.param({"proxy": "proxy.example.com:3128"}, "is no http:// or https:// address", id="no scheme"),
        pytest.param({"proxy": "http://u:hunter22@proxy.example.com"}, "has a user or password in it", id="password"),
        pytest.param({"proxy": PROXY, "no_proxy": ["10.0.0.0/8"]}, "is no name or address of a host", id="network"),
        pytest.param({"proxy": PROXY, "no_proxy": ["*.corp.example"]}, "is no name or address of a host", id="pattern"),
    ],
)
def test_what_can_never_work_is_refused_in_words(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionsError) as refused:
        Outbound(**options)
    assert words in str(refused.value)
    assert "hunter22" not in str(refused.value)


def test_a_login_of_another_form_and_files_without_certificates_are_refused(company: Path) -> None:
    plan = plan_of(stack(proxy=PROXY, login=EnvSecret("SHORT_FORM")))
    with pytest.raises(OptionsError, match="the secret from environment variable SHORT_FORM is no `user:password`"):
        system_request(plan.layout, (), outbound=plan.outbound)
    key = company.with_suffix(".key")
    for file, words in ((key, "has a private key in it"), (key.with_suffix(".ext"), "has no certificate in PEM form")):
        file.touch()
        with pytest.raises(OptionsError, match=words):
            plan_of(stack(ca=TextFile(str(file))))
