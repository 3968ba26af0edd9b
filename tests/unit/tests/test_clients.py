"""The documentation of client programs and what the tests of them install and run are the same."""

from __future__ import annotations

import json
import re

import pytest

from tests.clients.installed import LOCKS
from tests.clients.programs import DOCS, PAGES, PROGRAMS, SCRIPTS, documented

_PACKAGES = {
    "openai-python": "openai",
    "anthropic-python": "anthropic",
    "langchain": "langchain-openai",
    "llama-index": "llama-index-llms-openai-like",
    "llm": "llm",
    "aider": "aider-chat",
    "openai-js": "openai",
    "codex": "@openai/codex",
    "claude-code": "@anthropic-ai/claude-code",
    "opencode": "opencode-linux-x64",
    "continue": "@continuedev/cli",
    "open-webui": "open-webui",
}
"""Program → its package."""


def locked_version(client: str, package: str) -> str:
    file = LOCKS / f"{client}.txt"
    if file.exists():
        (version,) = re.findall(rf"^{re.escape(package)}==(\S+)", file.read_text(), re.MULTILINE)
        return str(version)
    lock = json.loads((LOCKS / client / "package-lock.json").read_text())
    return str(lock["packages"][f"node_modules/{package}"]["version"])


def test_each_block_that_is_marked_belongs_to_a_program_that_is_run() -> None:
    assert set(re.findall(r"^<!-- client: ([\w-]+)", DOCS.read_text(), re.MULTILINE)) == PROGRAMS.keys() | PAGES.keys()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_documented_with_the_address_and_the_name_that_tests_replace(program: str) -> None:
    files, language, text = documented(program)
    everything = "".join([text, *files.values()])
    assert language in ("sh", "python", "js")
    assert "http://gpu-box:4000" in everything
    assert "qwen-coder-vllm" in everything
    assert "API_KEY" in everything


@pytest.mark.parametrize("program", PAGES)
def test_a_program_with_a_page_is_documented_with_the_addresses_that_tests_replace(program: str) -> None:
    _, language, text = documented(program)
    assert language == "sh"
    assert "http://gpu-box:4000" in text
    assert "--host 127.0.0.1 --port 3000" in text
    assert "$API_KEY" in text


@pytest.mark.parametrize("program", _PACKAGES)
def test_the_documentation_names_the_release_that_is_tested(program: str) -> None:
    client = {**PROGRAMS, **PAGES}[program].client
    assert client is not None
    version = locked_version(client, _PACKAGES[program])
    assert re.search(rf"\| \[.*\| .*{re.escape(version)} \|", DOCS.read_text()), version


def test_each_library_has_a_script() -> None:
    assert {path.stem for path in SCRIPTS.iterdir()} <= set(PROGRAMS)
