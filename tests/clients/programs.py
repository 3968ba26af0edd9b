"""Client programs, run by what `docs/clients.md` tells people to write and to type."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.clients.endpoint import Endpoint
from tests.clients.installed import installed, node_bin
from tests.labhost.errors import LabError
from tests.labhost.paths import REPOSITORY, LabFolders
from tests.ports import free_port

DOCS = REPOSITORY / "docs/clients.md"
_ADDRESS, _MODEL, _PAGE = "gpu-box:4000", "qwen-coder-vllm", "127.0.0.1 --port 3000"
"""What stands for the endpoint, for a route, and for where a program is to show its page in the documentation."""
_BLOCK = re.compile(
    r"^<!-- client: (?P<name>[\w-]+)(?:, file: (?P<file>\S+))? -->\n```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_DEAD_PROXY = "http://127.0.0.1:9"
_QUIET = {
    "NO_COLOR": "1",
    "AIDER_ANALYTICS": "false",
    "AIDER_CHECK_UPDATE": "false",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "CONTINUE_TELEMETRY_ENABLED": "0",
    # Open WebUI would load a model of its own to search in documents, with packages that its lock leaves out.
    "OFFLINE_MODE": "true",
    "RAG_EMBEDDING_ENGINE": "openai",
}
"""Programs ask their makers for updates and more, which a test must not wait for."""


@dataclass(frozen=True)
class Said:
    """What a program printed, and its exit status; 124 when it took too long."""

    status: int
    output: str


@dataclass(frozen=True)
class Program:
    """A client program.

    Attributes:
        client: whose lock it is installed by, as `installed` names it; none = this machine's.
        bin: where in that folder the program is. Not among npm's own links where those need an install script.
    """

    client: str | None
    bin: str = "bin"


_NPM = "node_modules/.bin"
PROGRAMS: Mapping[str, Program] = {
    "curl": Program(None),
    "openai-python": Program("libraries"),
    "openai-js": Program("openai-js", _NPM),
    "anthropic-python": Program("libraries"),
    "langchain": Program("libraries"),
    "llama-index": Program("llama-index"),
    "llm": Program("libraries"),
    "aider": Program("aider"),
    "codex": Program("codex", _NPM),
    "claude-code": Program("claude-code", "node_modules/@anthropic-ai/claude-code-linux-x64"),
    "opencode": Program("opencode", "node_modules/opencode-linux-x64/bin"),
    "continue": Program("continue", _NPM),
}
"""By the names that `docs/clients.md` marks their blocks with."""
PAGES: Mapping[str, Program] = {"open-webui": Program("open-webui")}
"""Those that show a page until they are stopped."""


def run(folders: LabFolders, name: str, endpoint: Endpoint, model: str, home: Path, timeout: float = 120) -> Said:
    """Do what the documentation says for one program.

    Args:
        home: a folder that is made, to be its home.
        timeout: seconds.
    """
    files, language, text = documented(name)
    home.mkdir()
    for path, content in files.items():
        target = home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_meant(content, endpoint, model))
    return run_text(folders, name, language, _meant(text, endpoint, model), endpoint, home, timeout)


def run_text(
    folders: LabFolders,
    name: str,
    language: str,
    text: str,
    endpoint: Endpoint,
    home: Path,
    timeout: float = 120,
    **environment: str,
) -> Said:
    """Run a script (`sh`, `python` or `js`) where that program is installed."""
    script, environment = _prepared(folders, name, language, text, endpoint, home, environment)
    command = [{"sh": "bash", "python": "python", "js": "node"}[language], str(script)]
    try:
        done = subprocess.run(
            ["timeout", "--kill-after=5", str(timeout), *command],
            cwd=script.parent / _WORK,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    finally:
        (home / "node_modules").unlink(missing_ok=True)
    return Said(done.returncode, done.stdout)


_WORK = "work"
"""The folder that a program runs in, below its home."""


def _prepared(
    folders: LabFolders,
    name: str,
    language: str,
    text: str,
    endpoint: Endpoint,
    home: Path,
    environment: Mapping[str, str],
) -> tuple[Path, dict[str, str]]:
    """The script and the environment for it, with `environment` in it."""
    program = {**PROGRAMS, **PAGES}[name]
    path = [str(node_bin(folders)), os.environ["PATH"]]
    if program.client:
        folder = installed(folders, program.client)
        path.insert(0, str(folder / program.bin))
        if language == "js":
            # Node.js looks for packages beside the script alone.
            (home / "node_modules").symlink_to(folder / "node_modules")
    script = home / {"sh": "script.sh", "python": "script.py", "js": "script.mjs"}[language]
    script.write_text(text)
    (home / _WORK).mkdir()
    return script, {
        **environment,
        "HOME": str(home),
        "PATH": os.pathsep.join(path),
        "API_KEY": endpoint.key,
        "BASE_URL": f"http://{endpoint.address}",
        "LANG": "C.UTF-8",
        "HTTPS_PROXY": _DEAD_PROXY,
        "NO_PROXY": endpoint.address.partition(":")[0],
        **_QUIET,
    }


@contextlib.contextmanager
def serving(folders: LabFolders, name: str, endpoint: Endpoint, home: Path, start: float = 120) -> Iterator[str]:
    """Run one of `PAGES` by the documentation, to the end of the block: the address of its page, once it is there.

    Args:
        home: a folder that is made, to be its home. `output` in it is what it has printed.
        start: seconds until the page must be there.

    Raises:
        LabError: it is not.
    """
    files, language, text = documented(name)
    assert not files, name
    port = free_port()
    text = text.replace(_PAGE, f"127.0.0.1 --port {port}")
    home.mkdir()
    script, environment = _prepared(folders, name, language, _meant(text, endpoint, _MODEL), endpoint, home, {})
    # Should this process be killed, it ends by itself.
    command = ["timeout", "--kill-after=5", "900", "bash", str(script)]
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=home / _WORK, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        page = f"http://127.0.0.1:{port}"
        _wait_for(page, process, time.monotonic() + start, home / "output")
        yield page
    finally:
        process.terminate()
        process.wait()


def _wait_for(page: str, process: subprocess.Popen[bytes], end: float, output: Path) -> None:
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(page, timeout=5):
            return
        time.sleep(0.5)
    raise LabError(f"no page at {page}: {output.read_text(errors='replace')[-2000:]}")


def documented(name: str) -> tuple[dict[str, str], str, str]:
    """The files that a program needs below its home, the language of its command or script, and that."""
    blocks = [match for match in _BLOCK.finditer(DOCS.read_text()) if match["name"] == name]
    (command,) = (block for block in blocks if not block["file"])
    return {block["file"]: block["text"] for block in blocks if block["file"]}, command["language"], command["text"]


def _meant(text: str, endpoint: Endpoint, model: str) -> str:
    return text.replace(_ADDRESS, endpoint.address).replace(_MODEL, model)


SCRIPTS = Path(__file__).parent / "scripts"


def rounds(folders: LabFolders, name: str, endpoint: Endpoint, model: str, home: Path) -> dict[str, str]:
    """What a library can do with a model: what was asked → the words of the answer, or the error that the person gets.

    `scripts/` has one for each library.
    """
    home.mkdir()
    (script,) = SCRIPTS.glob(f"{name}.*")
    language = {".py": "python", ".js": "js"}[script.suffix]
    said = run_text(folders, name, language, script.read_text(), endpoint, home, timeout=300, MODEL=model)
    found: dict[str, str] = json.loads(said.output.splitlines()[-1])
    return found
