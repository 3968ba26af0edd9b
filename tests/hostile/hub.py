"""A Hub that means harm: a server of one's own answers, right or wrong, and lists that no honest Hub gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.hostile.names import COLLISIONS, NAMES
from tests.labhost.http_server import QuietHandler, ThreadedServer

CONTENT = b"planted by a Hub"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "org/model"
_TREE = f"/api/models/{REPOSITORY}/tree/{COMMIT}?recursive=true"

Answer = Callable[[], Iterable[bytes]]
"""The bytes of one answer, its headers among them."""


class HostileServer(ThreadedServer):
    """Sends the same bytes to whoever asks for a path, while its `with` block runs. `asked`: the paths."""

    def __init__(self, address: str, answers: Mapping[str, Answer], otherwise: Answer | None = None) -> None:
        super().__init__(address, _Handler)
        self.answers, self.otherwise = dict(answers), otherwise
        self.asked: list[str] = []


class _Handler(QuietHandler):
    server: HostileServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answer = self.server.answers.get(self.path, self.server.otherwise) or (lambda: head(404, b""))
        try:
            for piece in answer():
                self.wfile.write(piece)
        except OSError:
            pass  # the other side has had enough
        self.close_connection = True


def head(status: int, body: bytes, **headers: str) -> list[bytes]:
    """An answer; headers that are given beat its own."""
    lines = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    shown = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return [f"HTTP/1.1 {status} Odd\r\n{shown}\r\n".encode("latin-1"), body]


def endless(first: bytes, piece: bytes) -> Iterable[bytes]:
    """As much as anybody takes."""
    yield first
    while True:
        yield piece


def listed(path: object, **changes: Any) -> dict[str, Any]:
    """A file in a list; a change to None leaves it out."""
    blob = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
    entry = {"type": "file", "path": path, "size": len(CONTENT), "oid": blob, **changes}
    return {name: value for name, value in entry.items() if value is not None}


def hub(tree: Any, commit: Any = COMMIT) -> dict[str, Answer]:
    """The answers of a Hub with that list; bytes are sent as they are."""
    text = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return {
        f"/api/models/{REPOSITORY}/revision/main": lambda: head(200, json.dumps({"sha": commit}).encode()),
        _TREE: lambda: head(200, text),
    }


def _with(path: str, answer: Answer) -> dict[str, Answer]:
    return {**hub([listed("planted.txt")]), path: answer}


_FILE = f"/{REPOSITORY}/resolve/{COMMIT}/planted.txt"
_REVISION = f"/api/models/{REPOSITORY}/revision/main"
_NOTHING_ELSE = {"Content_Length": "-1"}

LISTS: dict[str, dict[str, Answer]] = {
    **{f"named by {what}": hub([listed(name)]) for what, name in NAMES.items()},
    **{f"colliding, {what}": hub([listed(name) for name in names]) for what, names in COLLISIONS.items()},
    "named as what has not come yet": hub([listed("planted.txt"), listed("planted.txt.part")]),
    "a size below zero": hub([listed("planted.txt", size=-1)]),
    "a size that is text": hub([listed("planted.txt", size="16")]),
    "a size of a fraction": hub([listed("planted.txt", size=16.5)]),
    "a size that is true": hub([listed("planted.txt", size=True)]),
    "a size without end": hub([listed("planted.txt", size=1 << 80)]),
    "no size": hub([listed("planted.txt", size=None)]),
    "no digest": hub([listed("planted.txt", oid=None)]),
    "a digest that is a path": hub([listed("planted.txt", oid="../" * 13 + "x")]),
    "a digest that is a list": hub([listed("planted.txt", oid=[])]),
    "a large file without a digest": hub([listed("planted.txt", lfs={"size": 16})]),
    "a large file that is text": hub([listed("planted.txt", lfs="yes")]),
    "a name that is a number": hub([listed(16)]),
    "a name that is a list": hub([listed(["planted.txt"])]),
    "no name": hub([{"type": "file"}]),
    "an entry that is text": hub(["planted.txt"]),
    "an entry that is nothing": hub([None]),
    "a list that is an object": hub({"path": "planted.txt"}),
    "a list that is a number": hub(16),
    "a list that is nothing": hub(None),
    "a list that is no JSON": hub(b"<html>"),
    "a list that is no text": hub(b"\xff\xfe\x00"),
    "a list of lists of lists": hub(b"[" * 200_000),
    "an empty answer": hub(b""),
    "a commit that is a path": hub([], commit="../../../etc/passwd"),
    "a commit that is a number": hub([], commit=16),
    "no commit": {**hub([]), _REVISION: lambda: head(200, b"[]")},
    "a list without end": _with(_TREE, lambda: endless(head(200, b"", **_NOTHING_ELSE)[0] + b"[", b"0," * 32768)),
    "headers without end": _with(_TREE, lambda: endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000)),
    "a header line without end": _with(_TREE, lambda: endless(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536)),
    "no HTTP": _with(_TREE, lambda: [b"220 ready\r\n"]),
    "a list on another disk": _with(_TREE, lambda: head(302, b"", Location="file:///etc/passwd")),
    "a list by FTP": _with(_TREE, lambda: head(302, b"", Location="ftp://127.0.0.1/x")),
    "a list nowhere": _with(_TREE, lambda: head(302, b"", Location="http://[::1/x")),
    "a list in a circle": _with(_TREE, lambda: head(302, b"", Location=_TREE)),
    "a content longer than listed": _with(_FILE, lambda: head(200, CONTENT * 2)),
    "a content without end": _with(_FILE, lambda: endless(head(200, b"", **_NOTHING_ELSE)[0], bytes(65536))),
    "a content in pieces without end": _with(
        _FILE,
        lambda: endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"8000\r\n" + bytes(32768) + b"\r\n"),
    ),
    "a content shorter than listed": _with(_FILE, lambda: head(200, CONTENT[:5])),
    "another content": _with(_FILE, lambda: head(200, CONTENT[::-1])),
    "a length that is text": _with(_FILE, lambda: head(200, CONTENT[::-1], Content_Length="many")),
    "a length below zero": _with(_FILE, lambda: head(200, CONTENT[::-1], Content_Length="-16")),
    "a length of petabytes": _with(_FILE, lambda: head(200, CONTENT, Content_Length=str(1 << 50))),
    "a part that nobody asked for": _with(
        _FILE, lambda: head(206, CONTENT, Content_Range=f"bytes {1 << 40}-{(1 << 40) + 15}/{1 << 41}")
    ),
    "a content on another disk": _with(_FILE, lambda: head(302, b"", Location="file:///etc/passwd")),
    "a content in a circle": _with(_FILE, lambda: head(302, b"", Location=_FILE)),
}
"""What is wrong with it → what its Hub answers. The list asks for all that ends in `.txt`, and more."""
PATTERNS = ("*",)
