"""Client programs, run by what `docs/clients.md` tells people to write and to type."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.clients.endpoint import Endpoint
from tests.clients.installed import installed, node_bin
from tests.labhost.paths import REPOSITORY, LabFolders

DOCS = REPOSITORY / "docs/clients.md"
_ADDRESS, _MODEL = "gpu-box:4000", "qwen-coder-vllm"
"""What stands for the endpoint and for a route in the documentation."""
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
    program = PROGRAMS[name]
    path = [str(node_bin(folders)), os.environ["PATH"]]
    if program.client:
        folder = installed(folders, program.client)
        path.insert(0, str(folder / program.bin))
        if language == "js":
            # Node.js looks for packages beside the script alone.
            (home / "node_modules").symlink_to(folder / "node_modules")
    script = home / {"sh": "script.sh", "python": "script.py", "js": "script.mjs"}[language]
    script.write_text(text)
    work = home / "work"
    work.mkdir()
    environment |= {
        "HOME": str(home),
        "PATH": os.pathsep.join(path),
        "API_KEY": endpoint.key,
        "BASE_URL": f"http://{endpoint.address}",
        "LANG": "C.UTF-8",
        "HTTPS_PROXY": _DEAD_PROXY,
        "NO_PROXY": endpoint.address.partition(":")[0],
        **_QUIET,
    }
    command = [{"sh": "bash", "python": "python", "js": "node"}[language], str(script)]
    try:
        done = subprocess.run(
            ["timeout", "--kill-after=5", str(timeout), *command],
            cwd=work,
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
