"""Brings an Ollama server's models to what is declared: pulls or makes what is missing, loads what is wanted in memory.

Stands alone: it runs on the host with its own Python, as the unit `ollama-models`, at every boot and whenever the
server restarts. What is there already costs one question. Progress shows in `systemctl status` and in the journal.

    load-ollama-models REQUEST.json

    {"server": "http://127.0.0.1:11434", "timeout": 300, "memory": "/…/ollama-loader", "store": "/…/models", "models": [
      {"name": "llama3.1:latest", "preload": true, "digest": null, "insecure": false},
      {"name": "own:latest", "preload": false,
       "gguf": "/…/own.gguf", "template": null, "system": null, "parameters": {}}]}

`memory` is a folder of its own; `store`, the server's folder of models, is for `pruner`.
Source of the shapes: Ollama 0.32.15's API, as recorded.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import re
import select
import socket
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ATTEMPTS = 6
"""Tries without any progress between them before a model is given up."""
_SAY_SECONDS = 5
_CHUNK = 1 << 18
_FINAL = re.compile(
    # of a registry
    "file does not exist|unauthorized|does not match original host|invalid model name|insecure protocol"
    "|newer version of Ollama|server gave HTTP response to HTTPS client"
    "|first record does not look like a TLS handshake|no Location header"
    # of a model's file or options
    "|unsupported|does not support|must be of( type)? |unknown model architecture|template error|not in GGUF format"
    # of the host: a try that fails in a minute's time has cost gigabytes of writing
    "|no space left on device|disk quota exceeded|read-only file system|permission denied"
)
"""In an error that trying again does not fix."""
_HINTS = {
    "no space left on device": "making a model takes up to three times its file's size beside the file: make room",
    "first record does not look like a TLS handshake": "the registry speaks plain HTTP: set `insecure=True`",
    "newer version of Ollama": "raise `version` of the release",
    "exit status": "Ollama's journal has the cause",
}
"""What to do about an error with these words."""
_UPLOAD_GONE = re.compile("blobs/sha256-[0-9a-f]{64}: no such file")
"""When a model is made, and what was uploaded for it was removed in between."""


class LoadError(Exception):
    """A model cannot be brought: the message names it, the cause and the fix."""


class Interrupted(Exception):
    """The server or its connection failed in the middle: trying again may help."""


class Refused(Interrupted):
    """The server said that it failed."""


def main(arguments: list[str]) -> int:
    """Exit status 0 when every model is there; 1 with one message else."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a server says may be no text that this locale can write.
        sys.stdout.reconfigure(errors="backslashreplace")
    request = json.loads(Path(arguments[0]).read_text())
    done = Path(os.environ["RUNTIME_DIRECTORY"], "done")
    done.unlink(missing_ok=True)
    server = Server(request["server"], request["timeout"])
    notify("READY=1")
    try:
        found = Loader(server, Path(request["memory"])).load(request["models"])
    except LoadError as error:
        say(str(error))
        return 1
    # For the verifier, which sees by it that somebody has changed a model since.
    _write(done.with_name("digests.json"), json.dumps(found))
    _write(done, os.environ["AI_BACKEND_DIGEST"])
    say(f"all models are there: {', '.join(model['name'] for model in request['models'])}")
    return 0


class Server:
    """An Ollama server's API. `timeout`: seconds without a word from it."""

    def __init__(self, address: str, timeout: float) -> None:
        self.address = address
        self._host = urllib.parse.urlsplit(address).netloc
        self._timeout = timeout

    def wait(self) -> None:
        """Until it answers: its port opens before it does.

        Raises:
            LoadError: it does not within the time-out.
        """
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                self.ask("GET", "/api/version")
                return
            except Interrupted as error:
                if time.monotonic() > deadline:
                    raise LoadError(f"{self.address} does not answer: {error}") from None
            time.sleep(0.3)

    def digests(self) -> dict[str, str]:
        """Model → digest, of all that it has."""
        return {str(model["name"]): str(model["digest"]) for model in self.tags()}

    def tags(self) -> list[dict[str, Any]]:
        """What it says of each model that it has.

        Raises:
            LoadError, Interrupted: as `ask`; also where something else answers at its address.
        """
        answer = self.ask("GET", "/api/tags")
        models = answer.get("models") if isinstance(answer, dict) else None
        if not isinstance(models, list) or not all(
            isinstance(model, dict) and {"name", "digest", "size"} <= model.keys() for model in models
        ):
            raise Interrupted("it does not list its models as Ollama does")
        return models

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One request and its JSON answer.

        Raises:
            LoadError: the server refuses.
            Interrupted: it cannot be reached, or breaks off.
        """
        lines = list(self.stream(method, path, body))
        return lines[-1] if lines else None

    def stream(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """One request and the lines of its answer. An error may be the last line of an answer with status 200."""
        connection = http.client.HTTPConnection(self._host, timeout=self._timeout)
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body))
            answer = connection.getresponse()
            if answer.status >= 400:
                raise _refusal(_error_in(answer.read().decode(errors="replace"), answer.status))
            for line in answer:
                found = json.loads(line)
                if not isinstance(found, dict):
                    raise ValueError(f"it answers {found!r}, which Ollama would not")
                if "error" in found:
                    raise _refusal(_error_in(line.decode(), answer.status))
                yield found
        except TimeoutError:
            raise Interrupted(f"no word for {self._timeout:g} s") from None
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            raise Interrupted(str(error) or type(error).__name__) from None
        finally:
            connection.close()

    def has_blob(self, digest: str) -> bool:
        connection = http.client.HTTPConnection(self._host, timeout=self._timeout)
        try:
            connection.request("HEAD", f"/api/blobs/sha256:{digest}")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException) as error:
            raise Interrupted(str(error)) from None
        finally:
            connection.close()

    def send_blob(self, digest: str, file: Path, progress: Progress, name: str) -> None:
        """Send a file's content. A server that cannot take it says so before the end, and closes.

        Raises:
            LoadError: it refuses.
            Interrupted: as `ask`.
        """
        connection = http.client.HTTPConnection(self._host, timeout=self._timeout)
        try:
            with file.open("rb") as content:
                size = os.fstat(content.fileno()).st_size
                connection.putrequest("POST", f"/api/blobs/sha256:{digest}")
                connection.putheader("Content-Length", str(size))
                connection.endheaders()
                broken = self._send(connection.sock, content, lambda sent: progress.sent(name, sent, size))
            try:
                answer = connection.getresponse()
                text = answer.read().decode(errors="replace")
            except (OSError, http.client.HTTPException) as error:
                raise broken or error from None
        except TimeoutError:
            raise Interrupted(f"sending {file.name}: no word for {self._timeout:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise Interrupted(f"sending {file.name}: {error or type(error).__name__}") from None
        finally:
            connection.close()
        if answer.status not in (200, 201):
            raise LoadError(f"the server does not take {file.name}: {_with_hint(_error_in(text, answer.status))}")

    def _send(self, sock: socket.socket, content: io.BufferedReader, sent: Callable[[int], None]) -> OSError | None:
        """Send until the end, or until the server answers; why it broke off, or none."""
        total = 0
        try:
            while chunk := content.read(_CHUNK):
                left = memoryview(chunk)
                while left:
                    readable, writable, _ = select.select([sock], [sock], [], self._timeout)
                    if readable:
                        return None
                    if not writable:
                        raise TimeoutError
                    left = left[sock.send(left) :]
                total += len(chunk)
                sent(total)
        except ConnectionError as error:
            # Its answer may have arrived before.
            return error
        return None


def _error_in(text: str, status: int) -> str:
    """The message of an answer that is none of the good ones."""
    try:
        error = json.loads(text)["error"]
    except (ValueError, LookupError, TypeError):
        return f"{status} {text}".strip()
    return str(error.get("message")) if isinstance(error, dict) else str(error)


def _refusal(text: str) -> Exception:
    return LoadError(_with_hint(text)) if _FINAL.search(text) else Refused(_with_hint(text))


def _with_hint(text: str) -> str:
    return "; ".join([text, *(hint for words, hint in _HINTS.items() if words in text)])


class Loader:
    """Brings the models of one server. `memory`: a folder in which it notes what it made each model from."""

    def __init__(self, server: Server, memory: Path) -> None:
        self._server = server
        memory.mkdir(parents=True, exist_ok=True)
        self._memory = memory / "made.json"
        self._progress = Progress()

    def load(self, models: list[dict[str, Any]]) -> dict[str, str | None]:
        """The digests of the models, by name, once all are there.

        Raises:
            LoadError: at the first that cannot be brought; those before it stay.
        """
        if not self._memory.exists() and "STATE_DIRECTORY" not in os.environ:
            adopt(Path.home() / self._memory.name, self._memory, [model["name"] for model in models])
        self._server.wait()
        for model in models:
            self._bring(model)
        for model in models:
            if model["preload"]:
                self._patiently(model["name"], lambda model=model: self._into_memory(model["name"]))
        return {model["name"]: self._digest_of(model["name"]) for model in models}

    def _bring(self, model: dict[str, Any]) -> None:
        name = model["name"]
        if "gguf" in model:
            self._patiently(name, lambda: self._make(model))
            return
        there = self._digest_of(name)
        if there is None or (model["digest"] and there != model["digest"]):
            self._patiently(name, lambda: self._pull(model))
            there = self._digest_of(name)
        if model["digest"] and there != model["digest"]:
            raise LoadError(
                f"{name} has the digest {there}, not {model['digest']} as declared: the registry's model was changed, "
                "or the pin is wrong; fix `digest`"
            )
        say(f"{name}: there, digest {there}")

    def _pull(self, model: dict[str, Any]) -> None:
        name = model["name"]
        for line in self._server.stream("POST", "/api/pull", {"model": name, "insecure": model["insecure"]}):
            self._progress.show(name, line)

    def _make(self, model: dict[str, Any]) -> None:
        name, file = model["name"], Path(model["gguf"])
        # The file lies in a folder named by its digest, so its real path stands for its content.
        recipe = {**model, "gguf": str(file.resolve()), "preload": None}
        if model.get("kept_by_others"):
            recipe["look"] = _look_of(file, name)
        wanted = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
        made = self._made()
        if made.get(name, {}).get("recipe") == wanted and made[name]["digest"] == self._digest_of(name):
            say(f"{name}: there, made from {file.name}")
            return
        say(f"{name}: making it from {file.name}")
        try:
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise LoadError(f"{name}: {file} cannot be read: {error.strerror}") from None
        if not self._server.has_blob(digest):
            self._server.send_blob(digest, file, self._progress, name)
        body: dict[str, Any] = {"model": name, "files": {file.name: f"sha256:{digest}"}}
        body |= {key: model[key] for key in ("template", "system", "parameters") if model[key]}
        try:
            for line in self._server.stream("POST", "/api/create", body):
                self._progress.show(name, line)
        except Refused as refused:
            # All that it needs is there: what it refuses now, it always refuses.
            if _UPLOAD_GONE.search(str(refused)):
                raise
            raise LoadError(str(refused)) from None
        made[name] = {"recipe": wanted, "digest": self._digest_of(name)}
        _write(self._memory, json.dumps(made))
        say(f"{name}: made, digest {made[name]['digest']}")

    def _made(self) -> dict[str, Any]:
        return _read_made(self._memory)

    def _into_memory(self, name: str) -> None:
        say(f"{name}: loading it into memory")
        shown = self._server.ask("POST", "/api/show", {"model": name})
        if "completion" in shown.get("capabilities", ["completion"]):
            self._server.ask("POST", "/api/generate", {"model": name, "stream": False})
        else:
            # An embedding model refuses to generate.
            self._server.ask("POST", "/api/embed", {"model": name, "input": "."})

    def _digest_of(self, name: str) -> str | None:
        found = self._server.digests()
        return found.get(name) or found.get(f"{name}:latest")

    def _patiently(self, name: str, step: Any) -> None:
        """Do a step again when it is interrupted, as long as it makes progress."""
        fruitless = 0
        while True:
            before = self._progress.completed
            try:
                step()
                return
            except LoadError as error:
                raise LoadError(f"{name}: {error}") from None
            except Interrupted as error:
                fruitless = 0 if self._progress.completed > before else fruitless + 1
                if fruitless >= ATTEMPTS:
                    raise LoadError(f"{name}: {error} ({ATTEMPTS} tries); what has come is kept") from None
                say(f"{name}: {error}; trying again")
                time.sleep(min(2**fruitless, 20))


def adopt(old: Path, memory: Path, names: list[str]) -> None:
    """Take over what a loader of an earlier version noted of these models: in user scope in the home, for all servers
    of the user in one file. What other servers' models are made from stays there for their loaders."""
    noted = _read_made(old)
    if not noted or not all(isinstance(each, dict) and each.keys() == {"recipe", "digest"} for each in noted.values()):
        return  # none, or a file of the user's own
    _write(memory, json.dumps({name: noted.pop(name) for name in names if name in noted}))
    if noted:
        _write(old, json.dumps(noted))
    else:
        old.unlink(missing_ok=True)


def _look_of(file: Path, name: str) -> list[int]:
    """Of a file that its keeper may replace: another size or time stands for another content."""
    try:
        found = file.stat()
    except OSError as error:
        raise LoadError(f"{name}: {file} cannot be read: {error.strerror}") from None
    return [found.st_size, found.st_mtime_ns]


def _read_made(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class Progress:
    """How far a pull or an upload is, reported every few seconds."""

    def __init__(self) -> None:
        self.completed = 0
        self._layers: dict[str, int] = {}
        self._said = self._notified = 0.0

    def show(self, name: str, line: Mapping[str, Any]) -> None:
        words = str(line.get("status", ""))
        total, done = line.get("total"), line.get("completed", 0)
        if isinstance(total, int) and isinstance(done, int) and total > 0:
            self._layers[str(line.get("digest"))] = done
            self.completed = sum(self._layers.values())
            words += f": {done / 1e6:.1f} MB of {total / 1e6:.1f} MB ({100 * done // total} %)"
        self._say(f"{name}: {words}")

    def sent(self, name: str, sent: int, total: int) -> None:
        """Of an upload, which begins anew when it is cut: what has come is no reason for patience."""
        if time.monotonic() - self._notified > 1:
            self._say(f"{name}: sending its file: {sent / 1e6:.1f} MB of {total / 1e6:.1f} MB")

    def _say(self, words: str) -> None:
        self._notified = time.monotonic()
        notify(f"STATUS={words}")
        if time.monotonic() - self._said > _SAY_SECONDS:
            self._said = time.monotonic()
            print(words, flush=True)


def say(words: str) -> None:
    """To the journal, and as the unit's status."""
    print(words, flush=True)
    notify(f"STATUS={words}")


def notify(message: str) -> None:
    """Notify systemd, on one line: a second one, in a server's text, would be another message. Source: sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        line = " ".join(message.split()).encode(errors="backslashreplace")
        channel.sendto(line, "\0" + address[1:] if address.startswith("@") else address)


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}")
    beside.write_text(text)
    beside.rename(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
