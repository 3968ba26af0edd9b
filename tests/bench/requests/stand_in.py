"""A model server that needs no time to think: `python -m tests.bench.requests.stand_in PORT`.

It answers chats as llama-server does, with as many tokens as the prompt asks for: `100 tokens, 10 ms apart`. Each token
of a stream is a chunk that is sent by itself.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any

_ASKED = re.compile(r"(\d+) tokens, (\d+) ms apart")
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: "


def question(tokens: int, pause: int = 0) -> str:
    """The prompt for an answer of so many tokens, and so many milliseconds between two of them."""
    return f"{tokens} tokens, {pause} ms apart"


class _Connection(asyncio.Protocol):
    """Takes one request after another."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answers: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
        if not found or (length and len(body) < int(length[1])):
            return
        self._received.clear()
        request = json.loads(body)
        asked = _ASKED.search(json.dumps(request["messages"]))
        tokens, pause = (int(number) for number in asked.groups()) if asked else (1, 0)
        if request.get("stream"):
            # A task that nobody refers to may be lost.
            self._answers.add(answer := asyncio.create_task(self._stream(request, tokens, pause / 1000)))
            answer.add_done_callback(self._answers.discard)
        else:
            content = json.dumps(_answer(request, tokens)).encode()
            self._transport.write(_HEAD + b"application/json\r\nContent-Length: %d\r\n\r\n" % len(content) + content)

    def connection_lost(self, _error: Exception | None) -> None:
        for answer in self._answers:
            answer.cancel()

    async def _stream(self, request: dict[str, Any], tokens: int, pause: float) -> None:
        self._transport.write(_HEAD + b"text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(tokens):
            self._send(_chunk(request, {"content": " word"} if number else {"role": "assistant", "content": "A"}))
            await asyncio.sleep(pause)
        self._send(_chunk(request, {}, "stop"))
        if (request.get("stream_options") or {}).get("include_usage"):
            self._send({**_chunk(request, {}), "choices": [], "usage": _usage(tokens)})
        self._transport.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")

    def _send(self, chunk: dict[str, Any]) -> None:
        event = b"data: %s\n\n" % json.dumps(chunk).encode()
        self._transport.write(b"%x\r\n%s\r\n" % (len(event), event))


def _answer(request: dict[str, Any], tokens: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": " ".join(["word"] * tokens)}
    return {
        **_common(request, "chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(tokens),
    }


def _chunk(request: dict[str, Any], delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {
        **_common(request, "chat.completion.chunk"),
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def _common(request: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-0", "object": kind, "created": 1_790_000_000, "model": request["model"]}


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 16, "completion_tokens": tokens, "total_tokens": 16 + tokens}


async def listen(port: int) -> asyncio.Server:
    """It listens when this returns. Args: port: 0 = any."""
    return await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port, backlog=1024)


async def _serve(port: int) -> None:
    await (await listen(port)).serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
