"""Starts LiteLLM with each entry, and says what it did. Run it with the Python of an environment that holds LiteLLM.

    LITELLM_ENV/bin/python -m tests.lint_corpus.start [--write] [NAME…]

LiteLLM is imported once, which takes most of a start; each entry then runs the release's own command, `litellm --config
FILE`, in a fork of this process: the same code, up to the moment at which uvicorn says that the application is up.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import re
import select
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.lint_corpus.entries import TABLE, Entry, all_entries

_LONGEST_S = 60
_QUIET = {
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_DONT_SHOW_FEEDBACK_BOX": "true",
    "PYTHONUNBUFFERED": "1",
}
_DROPPED = re.compile(
    r"WITHOUT this guardrail|[Ss]kipping (?!OTel)|Failed to (?:load|initialize|register|add)|"
    r"[Ee]rror (?:creating|loading|upserting)|could not be loaded|Invalid deployment|will not (?:fire|run)"
)
_TIME = re.compile(r"^[0-9:]+ - ")
_LAST_LINES = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints one JSON object a line; `--write` writes the table instead."""
    parser = argparse.ArgumentParser(description="Start LiteLLM with the entries of the corpus.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="entries, or beginnings of their names (default: all)")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}; other entries keep what they have")
    options = parser.parse_args(arguments)
    entries = {
        name: entry
        for name, entry in all_entries().items()
        if not options.names or name.startswith(tuple(options.names))
    }
    table = dict(read_table()["entries"]) if TABLE.exists() else {}
    os.environ.update(_QUIET)
    proxy = importlib.import_module("litellm.proxy.proxy_server")
    importlib.import_module("litellm.proxy.proxy_cli")
    for name, entry in entries.items():
        result = start(entry, proxy)
        table[name] = {"digest": entry.digest, **result}
        if not options.write:
            print(json.dumps({"name": name, **result}, ensure_ascii=False), flush=True)
    if options.write:
        kept = {name: table[name] for name in sorted(all_entries()) if name in table}
        content = {"litellm": version("litellm"), "entries": kept}
        TABLE.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_table() -> dict[str, Any]:
    """The table: `litellm`, the release, and `entries`: name → digest, outcome, and what LiteLLM said."""
    table: dict[str, Any] = json.loads(TABLE.read_text())
    return table


def start(entry: Entry, proxy: Any) -> dict[str, Any]:
    """What one start came to: `outcome`, and `said`, the words of LiteLLM behind it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {"config.yaml": entry.document, **entry.files}.items():
            (Path(folder) / name).write_text(text)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            _be_litellm(Path(folder), entry.variables, write, proxy)
        os.close(write)
        report = _wait(child, read)
        log = (Path(folder) / "log").read_text(errors="replace").replace(folder, "")
    if report is None:
        return {"outcome": "stops", "said": list(_last_words(log))}
    dropped = {_TIME.sub("", line)[:200] for line in log.splitlines() if _DROPPED.search(line)}
    said = [*report["lacking"], *sorted(dropped)]
    return {"outcome": "drops" if said else "starts", "said": said}


def _wait(child: int, read: int) -> Any:
    """What the child reports once it is up; None if it ends before that, or takes too long."""
    text, end = b"", time.monotonic() + _LONGEST_S
    while time.monotonic() < end:
        if not select.select([read], [], [], 1)[0]:
            continue
        part = os.read(read, 65536)
        if not part:
            break
        text += part
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(read)
    return json.loads(text) if text else None


def _last_words(log: str) -> Iterator[str]:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"(?:\w+\.)*\w*(?:Error|Exception|Exit)\b|[A-Z].*: ?\S", line)]
    for line in (told or lines)[-_LAST_LINES:]:
        yield line[:200]


def _be_litellm(folder: Path, variables: Mapping[str, str], report: int, proxy: Any) -> None:
    """In the child: runs the command; never returns."""
    status = 1
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.environ.update(variables)
        if "LITELLM_MASTER_KEY" not in variables:
            os.environ.pop("LITELLM_MASTER_KEY", None)
        # A module beside the configuration can be imported, as with a start there.
        sys.path.insert(0, str(folder))
        uvicorn: Any = importlib.import_module("uvicorn")
        begin = uvicorn.Server.startup

        async def startup(server: Any, *args: Any, **kwargs: Any) -> None:
            await begin(server, *args, **kwargs)
            if server.started and not server.should_exit:
                os.write(report, json.dumps({"lacking": _lacking(proxy)}).encode())
                os._exit(0)

        uvicorn.Server.startup = startup
        command = importlib.import_module("litellm.proxy.proxy_cli").run_server
        command.main(
            ["--config", str(folder / "config.yaml"), "--host", "127.0.0.1", "--port", "0"], standalone_mode=False
        )
    except BaseException:  # an exit too is how the command says that it does not start
        importlib.import_module("traceback").print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _lacking(proxy: Any) -> list[str]:
    """What the file declares and the running proxy has not."""
    config = dict(proxy.proxy_config.get_config_state())
    router = proxy.llm_router
    models = config.get("model_list") or []
    lacking = []
    deployments = len(router.get_model_list() or []) if router else 0
    if deployments < len(models):
        lacking.append(f"{len(models) - deployments} of {len(models)} deployments are missing")
    guards = config.get("guardrails") or []
    handler = importlib.import_module("litellm.proxy.guardrails.guardrail_registry").IN_MEMORY_GUARDRAIL_HANDLER
    if len(handler.IN_MEMORY_GUARDRAILS) < len(guards):
        lacking.append(f"{len(guards) - len(handler.IN_MEMORY_GUARDRAILS)} of {len(guards)} guardrails are missing")
    servers = config.get("mcp_servers") or {}
    if servers:
        manager = importlib.import_module("litellm.proxy._experimental.mcp_server.mcp_server_manager")
        loaded = manager.global_mcp_server_manager.config_mcp_servers
        if len(loaded) < len(servers):
            lacking.append(f"{len(servers) - len(loaded)} of {len(servers)} MCP servers are missing")
    return lacking


if __name__ == "__main__":
    main()
