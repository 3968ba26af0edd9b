"""Ollama's API: what is answered at which path."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from . import openai_api
from .child_chat import Line
from .create import create, create_request_problem
from .download import Downloads
from .environment import Settings
from .errors import ApiError
from .front import JSON, Answer, Request, Route, Routes, Stream
from .gguf import NotGguf
from .go_formats import decode_request, encode, timestamp
from .inference import Inference, Lines
from .models import listed, load_model, shown
from .names import Name, parse_name
from .pull import pull
from .scheduler import Scheduler
from .store import Store

_NDJSON = "application/x-ndjson"
_PLAIN_JSON = "application/json"
_EVENTS = "text/event-stream"
_RUNNING = "text/plain; charset=utf-8"

Fields = dict[str, tuple[type, str]]
_MODEL: Fields = {"model": (str, "string"), "name": (str, "string")}
_INFERENCE: Fields = {"model": (str, "string"), "stream": (bool, "bool"), "options": (dict, "map[string]interface {}")}
_CHAT: Fields = {**_INFERENCE, "messages": (list, "[]api.Message"), "tools": (list, "[]api.Tool")}
_GENERATE: Fields = {**_INFERENCE, "prompt": (str, "string"), "system": (str, "string"), "template": (str, "string")}
_EMBED: Fields = {"model": (str, "string"), "dimensions": (int, "int"), "truncate": (bool, "bool")}
_PULL: Fields = {**_MODEL, "insecure": (bool, "bool"), "stream": (bool, "bool")}
_CREATE: Fields = {
    **_PULL,
    "from": (str, "string"),
    "files": (dict, "map[string]string"),
    "parameters": (dict, "map[string]interface {}"),
    "template": (str, "string"),
    "system": (str, "string"),
}
_COPY: Fields = {"source": (str, "string"), "destination": (str, "string")}
_OPENAI_CHAT: Fields = {"model": (str, "string"), "messages": (list, "[]openai.Message"), "stream": (bool, "bool")}
_OPENAI_COMPLETION: Fields = {"model": (str, "string"), "prompt": (str, "string"), "stream": (bool, "bool")}


class Api:
    def __init__(
        self, settings: Settings, store: Store, scheduler: Scheduler, downloads: Downloads, version: str
    ) -> None:
        self._settings = settings
        self._store = store
        self._scheduler = scheduler
        self._downloads = downloads
        self._inference = Inference(store, scheduler, settings)
        self._version = version

    def routes(self) -> Routes:
        running = _reading(lambda request: Answer(body=b"Ollama is running", headers=[("Content-Type", _RUNNING)]))
        return {
            "/": running,
            "/api/version": _reading(lambda request: _json({"version": self._version})),
            "/api/status": {"GET": lambda request: _json(self._status())},
            "/api/tags": _reading(lambda request: _json({"models": listed(self._store)})),
            "/api/ps": {"GET": lambda request: _json({"models": self._loaded()})},
            "/api/pull": {"POST": _native(self._pull)},
            "/api/show": {"POST": _native(self._show)},
            "/api/delete": {"DELETE": _native(self._delete)},
            "/api/create": {"POST": _native(self._create)},
            "/api/blobs/*": {"HEAD": _native(self._blob), "POST": _native(self._add_blob)},
            "/api/copy": {"POST": _native(self._copy)},
            "/api/chat": {"POST": _native(self._chat)},
            "/api/generate": {"POST": _native(self._generate)},
            "/api/embed": {"POST": _native(self._embed)},
            "/api/embeddings": {"POST": _native(self._embeddings)},
            "/v1/models": {"GET": lambda request: _openai_json(self._openai_models())},
            "/v1/models/*": {"GET": _openai(self._openai_model)},
            "/v1/chat/completions": {"POST": _openai(self._openai_chat)},
            "/v1/completions": {"POST": _openai(self._openai_completion)},
            "/v1/embeddings": {"POST": _openai(self._openai_embeddings)},
        }

    def _status(self) -> Line:
        disabled = self._settings.no_cloud
        return {"cloud": {"disabled": disabled, "source": "env" if disabled else "none"}}

    def _loaded(self) -> list[Line]:
        found = []
        for loaded in self._scheduler.loaded():
            name = loaded.model.name.shortest
            found.append(
                {
                    "name": name,
                    "model": name,
                    "size": loaded.runner.size if loaded.runner else 0,
                    "digest": loaded.model.manifest.digest,
                    "details": {**loaded.model.details(), "parent_model": ""},
                    "expires_at": timestamp(loaded.expires, local=True),
                    "size_vram": 0,
                    "context_length": loaded.context,
                }
            )
        return found

    def _pull(self, request: Request) -> Answer | Stream:
        asked = decode_request(request.body.read(), "PullRequest", _PULL)
        name = self._name(asked)
        if not name.valid:
            raise ApiError(400, "invalid model name")
        lines = pull(
            self._store,
            self._downloads,
            name,
            self._version,
            insecure=asked.get("insecure", False),
            prune=not self._settings.no_prune,
        )
        return _progress(lines, streamed=asked.get("stream", True))

    def _create(self, request: Request) -> Answer | Stream:
        asked = decode_request(request.body.read(), "CreateRequest", _CREATE)
        name = self._name(asked)
        problem = create_request_problem(name, asked)
        if problem:
            raise ApiError(400, problem)
        lines = create(self._store, name, asked, prune=not self._settings.no_prune)
        return _progress(lines, streamed=asked.get("stream", True))

    def _name(self, asked: Line) -> Name:
        return self._store.existing(asked.get("model") or asked.get("name") or "")

    def _show(self, request: Request) -> Answer:
        asked = decode_request(request.body.read(), "ShowRequest", {**_MODEL, "verbose": (bool, "bool")})
        if not (asked.get("model") or asked.get("name")):
            raise ApiError(400, "model is required")
        name = self._name(asked)
        if not name.valid:
            raise ApiError(400, "invalid model name")
        try:
            return _json(shown(load_model(self._store, name), verbose=asked.get("verbose", False)))
        except FileNotFoundError as error:
            raise ApiError(404, f"model '{name.shortest}' not found") from error
        except NotGguf as error:
            raise ApiError(500, str(error)) from error

    def _delete(self, request: Request) -> Answer:
        asked = decode_request(request.body.read(), "DeleteRequest", _MODEL)
        text = asked.get("model") or asked.get("name") or ""
        name = self._name(asked)
        if not name.valid:
            raise ApiError(400, f'name "{text}" is invalid')
        try:
            self._store.delete(self._store.manifest(name))
        except FileNotFoundError as error:
            raise ApiError(404, f"model '{text}' not found") from error
        return Answer()

    def _copy(self, request: Request) -> Answer:
        asked = decode_request(request.body.read(), "CopyRequest", _COPY)
        names = []
        for field in ("source", "destination"):
            text = asked.get(field, "")
            if not parse_name(text).valid:
                raise ApiError(400, f'{field} "{text}" is invalid')
            names.append(self._store.existing(text))
        try:
            self._store.copy(*names)
        except FileNotFoundError as error:
            raise ApiError(404, f'model "{asked["source"]}" not found') from error
        return Answer()

    def _blob(self, request: Request) -> Answer:
        if not self._store.blob(request.parameter).exists():
            raise ApiError(404, f'blob "{request.parameter}" not found')
        return Answer()

    def _add_blob(self, request: Request) -> Answer:
        """What was sent is kept under its own digest, also when another one was told."""
        if self._store.blob(request.parameter).exists():
            return Answer()
        layer = self._store.add_layer("", request.body.chunks())
        if layer.digest != request.parameter:
            raise ApiError(400, f'digest mismatch, expected "{request.parameter}", got "{layer.digest}"')
        return Answer(201)

    def _chat(self, request: Request) -> Answer | Stream:
        asked = decode_request(request.body.read(), "ChatRequest", _CHAT)
        _check_think(asked)
        return _inferred(self._inference.chat(asked, request.gone))

    def _generate(self, request: Request) -> Answer | Stream:
        asked = decode_request(request.body.read(), "GenerateRequest", _GENERATE)
        _check_think(asked)
        return _inferred(self._inference.generate(asked, request.gone))

    def _embed(self, request: Request) -> Answer:
        return _json(self._inference.embed(decode_request(request.body.read(), "EmbedRequest", _EMBED), request.gone))

    def _embeddings(self, request: Request) -> Answer:
        asked = decode_request(request.body.read(), "EmbeddingRequest", _EMBED)
        return _json(self._inference.embeddings(asked, request.gone))

    def _openai_models(self) -> Line:
        manifests = sorted(self._store.manifests(), key=lambda manifest: -(manifest.modified // 10**9))
        return openai_api.model_list(manifests)

    def _openai_model(self, request: Request) -> Answer:
        name = self._store.existing(request.parameter)
        try:
            manifest = self._store.manifest(name)
        except FileNotFoundError as error:
            raise ApiError(404, f"model '{name.shortest}' not found") from error
        return _openai_json(openai_api.model_entry(manifest, request.parameter))

    def _openai_chat(self, request: Request) -> Answer | Stream:
        asked = _openai_request(request, "ChatCompletionRequest", _OPENAI_CHAT)
        if not asked.get("messages"):
            raise _Refused(400, "[] is too short - 'messages'")
        try:
            chat = openai_api.chat_request(asked)
        except ApiError as error:
            raise _Refused(error.status, error.message) from error
        found = self._inference.chat(chat, request.gone)
        if isinstance(found, dict):
            return _openai_json(openai_api.chat_completion(found))
        return Stream(_begun(openai_api.chat_chunks(found, usage=_wants_usage(asked))), _EVENTS)

    def _openai_completion(self, request: Request) -> Answer | Stream:
        asked = _openai_request(request, "CompletionRequest", _OPENAI_COMPLETION)
        found = self._inference.generate(openai_api.completion_request(asked), request.gone)
        if isinstance(found, dict):
            return _openai_json(openai_api.completion(found))
        return Stream(_begun(openai_api.completion_chunks(found, usage=_wants_usage(asked))), _EVENTS)

    def _openai_embeddings(self, request: Request) -> Answer:
        asked = _openai_request(request, "EmbedRequest", _EMBED)
        answer = self._inference.embed(asked, request.gone)
        return _openai_json(openai_api.embedding_list(answer, asked.get("encoding_format", "float")))


def _check_think(asked: Line) -> None:
    think = asked.get("think", False)
    words = '"high", "medium", "low", "max", true, or false'
    if isinstance(think, str) and think not in ("high", "medium", "low", "max"):
        raise ApiError(400, f"invalid think value: {encode(think)} (must be {words})")
    if not isinstance(think, bool | str):
        raise ApiError(400, f"think must be a boolean or string ({words})")


def _reading(route: Route) -> dict[str, Route]:
    return {"HEAD": route, "GET": route}


def _json(content: Any, status: int = 200) -> Answer:
    return Answer(status, encode(content).encode(), [("Content-Type", JSON)])


def _openai_json(content: Any, status: int = 200) -> Answer:
    return Answer(status, (encode(content) + "\n").encode(), [("Content-Type", _PLAIN_JSON)])


class _Refused(ApiError):
    """A request that never got past its own form: told in another content type than what goes wrong later."""


def _openai_request(request: Request, kind: str, fields: Fields) -> Line:
    try:
        return decode_request(request.body.read(), kind, fields)
    except ApiError as error:
        raise _Refused(error.status, error.message) from error


def _wants_usage(asked: Line) -> bool:
    return bool((asked.get("stream_options") or {}).get("include_usage"))


def _native(route: Route) -> Route:
    def answered(request: Request) -> Answer | Stream:
        try:
            return route(request)
        except ApiError as error:
            return _json({"error": error.message}, error.status)

    return answered


def _openai(route: Route) -> Route:
    def answered(request: Request) -> Answer | Stream:
        try:
            return route(request)
        except _Refused as error:
            return _json(openai_api.error_body(error), error.status)
        except ApiError as error:
            return _openai_json(openai_api.error_body(error), error.status)

    return answered


def _inferred(found: Line | Lines) -> Answer | Stream:
    return _json(found) if isinstance(found, dict) else _streamed(found)


def _progress(lines: Lines, *, streamed: bool) -> Answer | Stream:
    """Of pulls and creations. Without a stream: the last line, or the error."""
    if streamed:
        return _streamed(lines)
    last: Line = {}
    try:
        for line in lines:
            last = line
    except ApiError as error:
        return Answer(error.status, encode({"error": error.message}).encode(), [("Content-Type", _PLAIN_JSON)])
    return Answer(200, encode(last).encode(), [("Content-Type", _PLAIN_JSON)])


def _streamed(lines: Lines) -> Stream:
    """A line each. What goes wrong after the first one is the last line, and the status stays 200."""
    texts = _line_texts(lines)
    try:
        return Stream(_begun(texts), _NDJSON)
    except ApiError as error:
        return Stream(_begun(iter([encode({"error": error.message})])), _PLAIN_JSON, error.status)


def _line_texts(lines: Lines) -> Iterator[str]:
    begun = False
    try:
        for line in lines:
            yield encode(line) + "\n"
            begun = True
    except ApiError as error:
        if not begun:
            raise
        yield encode({"error": error.message}) + "\n"


def _begun(texts: Iterator[str]) -> Iterator[bytes]:
    """The pieces of a stream. The first one is fetched at once: what goes wrong before it is answered with a status."""
    first = next(texts)
    return (text.encode() for text in itertools.chain([first], texts))
