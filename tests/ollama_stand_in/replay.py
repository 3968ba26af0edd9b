"""Asking the stand-in what the real server was asked, and comparing the answers.

Compared are status, framing, names and order of headers, the pieces of streams, fields and their order, types and
values. What cannot be the same is named here, each with its reason; all else must be.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

RECORDED = Path(__file__).parent / "recorded"

VARYING_NUMBERS = {
    "created": "a moment",
    "total_duration": "how fast the machine was",
    "load_duration": "how fast the machine was",
    "prompt_eval_duration": "how fast the machine was",
    "eval_duration": "how fast the machine was",
    "total": "of files, as size",
    "completed": "of files, as size",
    "size": "of files whose tiny model is another one; in /api/ps an estimate",
    "general.parameter_count": "of the other tiny model",
}
IGNORED_FIELDS = {
    "general.quantization_version": "written by llama-quantize, which the stand-in does not have",
}
SORTED_LISTS = {
    "tensors": "llama-quantize sorts them, the stand-in keeps the file's order",
    "models": "those of the same second come in any order from the real server",
    "data": "those of the same second come in any order from the real server",
}
"""Sorted by name before they are compared."""

UNORDERED_LINES = {
    "modelfile": "parameters come in any order from the real server",
}

_DIGEST = re.compile(r"[0-9a-f]{64}|(?<=pulling )[0-9a-f]{12}")
_MOMENT = re.compile(r"(\d{4})-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?")
_COMPLETION = re.compile(r"^(chatcmpl|cmpl)-\d{1,3}$")
_ESCAPE = re.compile(r"\\u[0-9a-f]{4}")
_TICK = re.compile(r'^\{"status":"pulling [0-9a-f]{12}".*\n$')


@dataclass(frozen=True)
class Response:
    status: str
    headers: list[list[str]]
    framing: str
    pieces: list[str]
    """The chunks of the body; one piece when it has a length."""


@dataclass(frozen=True)
class Exchange:
    name: str
    request: dict[str, Any]
    response: Response


def recorded(group: str) -> list[Exchange]:
    """The exchanges of one part of the recording, in their order."""
    found = []
    for line in (RECORDED / f"{group}.jsonl").read_text().splitlines():
        content = json.loads(line)
        answer = content["response"]
        pieces = answer["pieces"] if "pieces" in answer else [answer["body"]]
        response = Response(answer["status"], answer["headers"], answer["framing"], pieces)
        found.append(Exchange(f"{group}/{content['name']}", content["request"], response))
    return found


def ask(port: int, request: Mapping[str, Any], body: bytes | None = None) -> Response:
    """Send a request as the recorder did, and read the answer chunk by chunk."""
    with send(port, request, body) as connection:
        file = connection.makefile("rb")
        status, headers = _head(file)
        given = dict(headers)
        if given.get("Transfer-Encoding") == "chunked":
            return Response(status, headers, "chunked", list(_chunks(file)))
        if "Content-Length" in given:
            data = b"" if request["method"] == "HEAD" else file.read(int(given["Content-Length"]))
            return Response(status, headers, "content-length", [data.decode()])
        return Response(status, headers, "close", [file.read().decode()])


def pieces_of(port: int, request: Mapping[str, Any]) -> Generator[str, None, None]:
    """The chunks of an answer as they come. Closing it hangs up; it raises `ValueError` when the answer breaks off."""
    with send(port, request) as connection:
        file = connection.makefile("rb")
        _head(file)
        yield from _chunks(file)


def send(port: int, request: Mapping[str, Any], body: bytes | None = None) -> socket.socket:
    """Send a request, and leave the answer where it is."""
    given = request.get("body")
    if body is None and given is not None:
        body = given.encode()
    headers = {"Host": f"127.0.0.1:{port}", "User-Agent": "rec/0", "Accept": "*/*", "Connection": "close"}
    if body is not None:
        headers |= {"Content-Length": str(len(body)), "Content-Type": "application/json"}
    headers |= request.get("headers", {})
    head = f"{request['method']} {request['path']} {request.get('version', 'HTTP/1.1')}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    # A body that nobody wants ends in an error here, and its answer is there all the same.
    with contextlib.suppress(ConnectionError):
        connection.sendall(head.encode() + (body or b""))
    return connection


def _head(file: BinaryIO) -> tuple[str, list[list[str]]]:
    status = file.readline().decode().strip()
    headers = []
    while line := file.readline().decode().strip():
        name, _, value = line.partition(": ")
        headers.append([name, "" if name == "Date" else value])
    return status, headers


def _chunks(file: BinaryIO) -> Iterator[str]:
    while True:
        size = int(file.readline(), 16)
        data = file.read(size)
        file.readline()
        if not size:
            return
        yield data.decode()


@dataclass
class Replay:
    """A stand-in that is asked one recorded exchange after the other.

    ``bodies`` are the files that were uploaded, by the name that the recording gives them; ``translated`` are texts of
    the recording with what stands for them here: paths, addresses, digests of those files. ``blobs`` is the stand-in's
    folder of them, where something is pulled.
    """

    port: int
    bodies: Mapping[str, bytes] = field(default_factory=dict)
    translated: dict[str, str] = field(default_factory=dict)
    blobs: Path | None = None
    _digests: dict[str, str] = field(default_factory=dict)

    def differences(self, exchanges: Iterable[Exchange], *, left_out: Collection[str] = ()) -> list[str]:
        """What is not as recorded, one line each; `left_out` names exchanges by their last part."""
        found = []
        for exchange in exchanges:
            if exchange.name.rpartition("/")[2].partition("-")[0] in left_out:
                continue
            found += self.differences_of(exchange)
        return found

    def differences_of(self, exchange: Exchange) -> list[str]:
        request = json.loads(self._translate(json.dumps(exchange.request)))
        body = None
        if upload := re.fullmatch(r"<\d+ bytes of (.+)>", request.get("body") or ""):
            body = self.bodies[upload[1]]
        if exchange.response.status.startswith("HTTP/1.0"):
            request["version"] = "HTTP/1.0"
        there = {blob.name for blob in self.blobs.iterdir()} if self.blobs else set()
        seen = ask(self.port, request, body)
        seen = replace(seen, pieces=[piece for piece in seen.pieces if not _on_its_way(piece, there)])
        return [f"{exchange.name}: {line}" for line in self._compare(exchange.response, seen)]

    def _compare(self, wanted: Response, seen: Response) -> Iterator[str]:
        for part in ("status", "framing"):
            if getattr(wanted, part) != getattr(seen, part):
                yield f"{part}: {getattr(seen, part)!r}, recorded {getattr(wanted, part)!r}"
        # The length of a body follows from the body, which is compared.
        headers = [
            [[name, "" if name == "Content-Length" else value] for name, value in r.headers] for r in (wanted, seen)
        ]
        if headers[0] != headers[1]:
            yield f"headers: {seen.headers}, recorded {wanted.headers}"
        expected, found = [piece for piece in wanted.pieces if not _on_its_way(piece)], seen.pieces
        if len(expected) != len(found):
            yield f"{len(found)} pieces, recorded {len(expected)}: {found} / {expected}"
            return
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            for problem in self._compare_texts(self._translate(one), other):
                yield f"piece {number}: {problem}"

    def _translate(self, text: str) -> str:
        for old, new in self.translated.items():
            text = text.replace(old, new)
        return text

    def _compare_texts(self, wanted: str, seen: str) -> Iterator[str]:
        """Bodies in JSON, lines of it, events of it, or plain text."""
        lines = wanted.split("\n"), seen.split("\n")
        if len(lines[0]) != len(lines[1]):
            yield f"{len(lines[1])} lines, recorded {len(lines[0])}"
            return
        if set(_ESCAPE.findall(wanted)) != set(_ESCAPE.findall(seen)):
            yield f"characters escaped: {set(_ESCAPE.findall(seen))}, recorded {set(_ESCAPE.findall(wanted))}"
        for one, other in zip(*lines, strict=True):
            prefix = "data: " if one.startswith("data: {") and other.startswith("data: {") else ""
            try:
                contents = json.loads(one.removeprefix(prefix)), json.loads(other.removeprefix(prefix))
            except ValueError:
                contents = one, other
            yield from self._compare_values(*contents, where="")

    def _compare_values(self, wanted: Any, seen: Any, where: str) -> Iterator[str]:
        name = where.rpartition(".")[2] if where not in VARYING_NUMBERS else where
        if isinstance(wanted, dict) and isinstance(seen, dict):
            keys = [key for key in wanted if key not in IGNORED_FIELDS]
            if keys != list(seen):
                yield f"{where}: fields {list(seen)}, recorded {keys}"
                return
            for key in keys:
                yield from self._compare_values(wanted[key], seen[key], key if "." in key else f"{where}.{key}")
        elif isinstance(wanted, list) and isinstance(seen, list):
            if len(wanted) != len(seen):
                yield f"{where}: {len(seen)} items, recorded {len(wanted)}"
                return
            if name in SORTED_LISTS:
                wanted, seen = (
                    sorted(items, key=lambda item: item.get("name") or item.get("id", "")) for items in (wanted, seen)
                )
            for one, other in zip(wanted, seen, strict=True):
                yield from self._compare_values(one, other, where)
        elif type(wanted) is not type(seen):
            yield f"{where}: {seen!r}, recorded {wanted!r}"
        elif isinstance(wanted, str):
            yield from self._compare_strings(wanted, seen, where)
        elif wanted != seen and not (name in VARYING_NUMBERS and not isinstance(wanted, bool)):
            yield f"{where}: {seen!r}, recorded {wanted!r}"

    def _compare_strings(self, wanted: str, seen: str, where: str) -> Iterator[str]:
        for one, other in zip(_DIGEST.findall(wanted), _DIGEST.findall(seen), strict=False):
            # The first time that a digest comes it may be any; from then on it must be that one.
            if self._digests.setdefault(one, other) != other:
                yield f"{where}: digest {other}, which was {self._digests[one]} before (recorded {one})"
        if where.rpartition(".")[2] in UNORDERED_LINES:
            wanted, seen = ("\n".join(sorted(text.split("\n"))) for text in (wanted, seen))
        shapes = [_shape(text) for text in (wanted, seen)]
        if shapes[0] != shapes[1]:
            yield f"{where}: {seen!r}, recorded {wanted!r}"


def _shape(text: str) -> str:
    """Digests, moments and numbers of completions replaced: the first are compared apart, the others differ."""
    text = _MOMENT.sub(lambda found: "<far future>" if found[1] > "2300" else "<moment>", _DIGEST.sub("<digest>", text))
    return _COMPLETION.sub(r"\1-<number>", text)


def _on_its_way(piece: str, there: Collection[str] | None = None) -> bool:
    """Whether it tells the progress of a blob that is being fetched, not that it was there already.

    A line comes every 60 ms, so their number tells the machine's speed. Those of blobs that were there are told by the
    folder, or in the recording by being complete.
    """
    if not _TICK.match(piece):
        return False
    line = json.loads(piece)
    return (
        line["digest"].replace(":", "-") not in there if there is not None else line["total"] != line.get("completed")
    )
