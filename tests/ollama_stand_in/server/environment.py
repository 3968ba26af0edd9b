"""The settings, read from the environment as the real server reads them: what cannot be read becomes the default."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from .errors import StartError
from .go_formats import FOREVER, SECOND, duration

_FALSE = {"0", "f", "F", "FALSE", "false", "False"}
_LOCAL = ("localhost", "127.0.0.1", "0.0.0.0")


@dataclass(frozen=True)
class Settings:
    host: str
    port: int
    home: Path
    models: Path
    keep_alive: int
    """Nanoseconds."""
    max_loaded_models: int
    num_parallel: int
    max_queue: int
    context_length: int
    """Tokens; 0 = left to the server."""
    no_prune: bool
    no_cloud: bool
    origins: tuple[str, ...]


def settings() -> Settings:
    home = _home()
    host, port = listen_address()
    return Settings(
        host=host,
        port=port,
        home=home,
        models=Path(_variable("OLLAMA_MODELS") or home / ".ollama" / "models"),
        keep_alive=_keep_alive(),
        max_loaded_models=_count("OLLAMA_MAX_LOADED_MODELS", 0),
        num_parallel=_count("OLLAMA_NUM_PARALLEL", 1),
        max_queue=_count("OLLAMA_MAX_QUEUE", 512),
        context_length=_count("OLLAMA_CONTEXT_LENGTH", 0),
        no_prune=_switch("OLLAMA_NOPRUNE"),
        no_cloud=_switch("OLLAMA_NO_CLOUD"),
        origins=_origins(),
    )


def listen_address() -> tuple[str, int]:
    """Host and port of `OLLAMA_HOST`."""
    text = _variable("OLLAMA_HOST")
    scheme, cut, rest = text.partition("://")
    default = {"http": 80, "https": 443}.get(scheme, 11434) if cut else 11434
    address = (rest if cut else text).partition("/")[0]
    host, colon, port = address.rpartition(":")
    if not colon or _is_ip(address.strip("[]")):
        host, port = address or "127.0.0.1", str(default)
    number = int(port) if port.isdecimal() and int(port) <= 65535 else default
    return host.strip("[]"), number


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _home() -> Path:
    home = os.environ.get("HOME")
    if not home:
        raise StartError("$HOME is not defined")
    return Path(home)


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip().strip("\"'")


def _keep_alive() -> int:
    text = _variable("OLLAMA_KEEP_ALIVE")
    try:
        value = duration(text)
    except ValueError:
        try:
            value = int(text) * SECOND
        except ValueError:
            value = 300 * SECOND
    return FOREVER if value < 0 else value


def _count(name: str, default: int) -> int:
    text = _variable(name)
    return int(text) if text.isdecimal() else default


def _switch(name: str) -> bool:
    """A word that is no boolean counts as true."""
    text = _variable(name)
    return bool(text) and text not in _FALSE


def _origins() -> tuple[str, ...]:
    more = _variable("OLLAMA_ORIGINS")
    local = [f"{scheme}://{host}{port}" for host in _LOCAL for port in ("", ":*") for scheme in ("http", "https")]
    programs = [f"{scheme}://*" for scheme in ("app", "file", "tauri", "vscode-webview", "vscode-file")]
    return (*(more.split(",") if more else ()), *local, *programs)
