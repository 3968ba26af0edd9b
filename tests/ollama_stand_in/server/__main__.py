"""`ollama serve`, `ollama list` and `ollama --version`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .api import Api
from .download import Downloads
from .environment import Settings, listen_address, settings
from .errors import StartError
from .front import Server
from .scheduler import Scheduler
from .store import Store

_HERE = Path(__file__).resolve().parent
_USAGE = "This is a stand-in for Ollama; it knows `ollama serve`, `ollama list` and `ollama --version`."
_KEY_PLACEHOLDER = "This is no key: the stand-in for Ollama needs none, and writes this file as the real server does.\n"


def main() -> None:
    if not (os.environ.get("HOME") or os.environ.get("OLLAMA_MODELS")):
        # Whatever it is to do, it first looks where its models would be.
        print("panic: $HOME is not defined\n\ngoroutine 1 [running]:", file=sys.stderr)
        sys.exit(2)
    match sys.argv[1:]:
        case ["serve" | "start"]:
            try:
                _serve(settings())
            except StartError as error:
                sys.exit(f"Error: {error}")
        case ["list" | "ls"]:
            _list()
        case ["--version" | "-v"]:
            _show_version()
        case _:
            sys.exit(_USAGE)


def version() -> str:
    """The one that the archive was packed as."""
    return (_HERE / "version.txt").read_text().strip()


def _serve(config: Settings) -> None:
    """Until SIGTERM or SIGINT; then the children go at once, and what is being answered breaks off."""
    # Through a pipe: it also tells of a signal that comes a moment before it is waited for.
    signalled, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    _write_key(config.home)
    store = Store(config.models)
    scheduler, downloads = Scheduler(_HERE.parent / "llama-server", config), Downloads(store)
    api = Api(config, store, scheduler, downloads, version())
    try:
        server = Server((config.host, config.port), api.routes(), config.origins)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StartError(f"listen tcp {config.host}:{config.port}: bind: {reason}") from error
    if not config.no_prune:
        store.prune(_say)
    _say(f"Listening on {config.host}:{config.port} (version {version()}); this is a stand-in, not Ollama")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.read(signalled, 1)
    server.break_off()  # first: nobody is to be told of children that die
    downloads.cancel_all()
    scheduler.kill_all()
    os._exit(0)


def _say(message: str) -> None:
    print(f'time={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} level=INFO msg="{message}"', file=sys.stderr, flush=True)


def _write_key(home: Path) -> None:
    """The real server makes a key pair in its home, and does not start without."""
    key = home / ".ollama" / "id_ed25519"
    if key.exists():
        return
    print(f"Couldn't find '{key}'. Generating new private key.", flush=True)
    try:
        key.parent.mkdir(parents=True, exist_ok=True)
        key.touch(0o600)
        key.write_text(_KEY_PLACEHOLDER)
        key.with_suffix(".pub").write_text(_KEY_PLACEHOLDER)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StartError(f"could not create directory mkdir {error.filename}: {reason}") from error


def _asked(path: str) -> Any:
    host, port = listen_address()
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
    with urllib.request.urlopen(f"http://{reachable}:{port}{path}", timeout=30) as answer:
        return json.load(answer)


def _show_version() -> None:
    try:
        running = _asked("/api/version")["version"]
    except (OSError, urllib.error.URLError):
        print("Warning: could not connect to a running Ollama instance")
        running = ""
    if running:
        print(f"ollama version is {running}")
    if running != version():
        print(f"Warning: client version is {version()}")


def _list() -> None:
    try:
        models = _asked("/api/tags")["models"]
    except (OSError, urllib.error.URLError):
        sys.exit("Error: could not connect to ollama server, run 'ollama serve' to start it")
    rows = [("NAME", "ID", "SIZE", "MODIFIED")]
    for model in models:
        modified = datetime.fromisoformat(model["modified_at"]).timestamp()
        rows.append(
            (
                model["name"],
                model["digest"][:12],
                _human_bytes(model["size"]),
                f"{int(time.time() - modified)} seconds ago",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("    ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def _human_bytes(size: int) -> str:
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if size >= unit:
            return f"{size // unit} {name}" if size >= 10 * unit else f"{size / unit:.1f} {name}".replace(".0 ", " ")
    return f"{size} B"


if __name__ == "__main__":
    main()
