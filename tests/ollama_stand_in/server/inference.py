"""Chat, completion and embeddings, in Ollama's own shapes."""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from .child_chat import End, Line, Piece, chat_request, pieces_of
from .environment import Settings
from .errors import ApiError
from .go_formats import FOREVER, SECOND, Float32, duration, timestamp
from .models import CHATML, Model, load_model
from .names import parse_name
from .runner import Runner
from .scheduler import Scheduler
from .store import Store

_DEFAULT_CONTEXT = 4096
_NUMBER, _INTEGER = ((int, float), "of type float32"), ((int,), "of type integer")
_OPTIONS: dict[str, tuple[tuple[type, ...], str]] = {
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "min_p": _NUMBER,
    "typical_p": _NUMBER,
    "repeat_penalty": _NUMBER,
    "presence_penalty": _NUMBER,
    "frequency_penalty": _NUMBER,
    "top_k": _INTEGER,
    "seed": _INTEGER,
    "repeat_last_n": _INTEGER,
    "num_predict": _INTEGER,
    "num_keep": _INTEGER,
    "num_ctx": _INTEGER,
    "stop": ((list,), "of type array"),
}
"""Options that are read, with their types; the rest is ignored."""
_LLAMA_NAMES = {"num_predict": "n_predict", "num_keep": "n_keep"}
_FIELD = re.compile(r"\{\{-?\s*\.(\w+)\s*-?\}\}")
_REASONS = {"limit": "length"}

Gone = Callable[[], bool]
Lines = Generator[Line, None, None]


@dataclass(frozen=True)
class _Asked:
    """A request that has been checked."""

    model: Model
    name: str
    """As it was asked for."""
    request: Line
    options: Line
    keep_alive: int | None
    gone: Gone


@dataclass(frozen=True)
class Inference:
    store: Store
    scheduler: Scheduler
    settings: Settings

    def chat(self, request: Line, gone: Gone) -> Line | Lines:
        """One line, or the lines of a stream. Raises `ApiError` for what goes wrong before the first of them."""
        name, messages = request.get("model", ""), request.get("messages", [])
        if not parse_name(name).valid:
            raise ApiError(400, "model is required")
        asked = self._asked(name, request, gone)

        def line(piece: Piece, **more: Any) -> Line:
            return {"model": name, "created_at": timestamp(time.time_ns()), "message": piece.message(), **more}

        if not messages:
            return line(Piece(), done=True, done_reason=self._load_or_unload(asked, "chat"))
        self._check(asked, "chat")
        if asked.model.system and messages[0].get("role") != "system":
            messages = [{"role": "system", "content": asked.model.system}, *messages]

        def chatted(runner: Runner) -> Iterator[Piece]:
            if asked.model.chats_natively:
                return pieces_of(runner.chat(_fitting_chat(runner, asked, messages), gone))
            return _completed(runner, asked, _fitting(runner, asked.model.template, messages))

        return self._answer(asked, line, chatted)

    def generate(self, request: Line, gone: Gone) -> Line | Lines:
        """The same for a prompt."""
        name, prompt = request.get("model", ""), request.get("prompt", "")
        if not parse_name(name).valid:
            raise ApiError(404, f"model '{name}' not found")
        asked = self._asked(name, request, gone)

        def line(piece: Piece, **more: Any) -> Line:
            return {"model": name, "created_at": timestamp(time.time_ns()), "response": piece.content, **more}

        if not prompt:
            return line(Piece(), done=True, done_reason=self._load_or_unload(asked, "generate"))
        self._check(asked, "generate")
        system = request.get("system") or asked.model.system
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": prompt})

        def completed(runner: Runner) -> Iterator[Piece]:
            if request.get("raw"):
                text = prompt
            elif asked.model.chats_natively and not request.get("template"):
                text = runner.prompt_of(_chat_of(asked, messages))
            else:
                text = _rendered(request.get("template") or asked.model.template, messages)
            return _completed(runner, asked, text)

        return self._answer(asked, line, completed)

    def embed(self, request: Line, gone: Gone) -> Line:
        start = time.time_ns()
        name, given = request.get("model", ""), request.get("input")
        texts = given if isinstance(given, list) else [given] if given else []
        if not all(isinstance(text, str) for text in texts):
            raise ApiError(400, "invalid input type")
        if not parse_name(name).valid:
            raise ApiError(404, f"model '{name}' not found")
        dimensions, truncate = request.get("dimensions", 0), request.get("truncate", True)
        vectors, counted = [], 0
        with self._used(self._asked_to_embed(name, request, gone)) as runner:
            loaded = time.time_ns()
            for text in texts:
                vector, tokens = runner.embedding(_cut(runner, text, truncate=truncate))
                vector = _normal(vector)
                if 0 < dimensions < len(vector):
                    vector = _normal(vector[:dimensions])
                vectors.append(list(map(Float32, vector)))
                counted += tokens
        if not texts:
            return {"model": name, "embeddings": []}
        return {
            "model": name,
            "embeddings": vectors,
            "total_duration": time.time_ns() - start,
            "load_duration": loaded - start,
            "prompt_eval_count": counted,
        }

    def embeddings(self, request: Line, gone: Gone) -> Line:
        """The older endpoint: one text, and the vector as the model gives it."""
        name, prompt = request.get("model", ""), request.get("prompt", "")
        if not parse_name(name).valid:
            raise ApiError(400, "model is required")
        with self._used(self._asked_to_embed(name, request, gone)) as runner:
            if not prompt:
                return {"embedding": []}
            try:
                return {"embedding": runner.embedding(prompt)[0]}
            except ApiError as error:
                raise ApiError(500, error.message) from error

    def _asked(self, name: str, request: Line, gone: Gone) -> _Asked:
        keep_alive = _keep_alive(request)
        try:
            model = load_model(self.store, self.store.existing(name))
        except FileNotFoundError as error:
            raise ApiError(404, f"model '{name}' not found") from error
        return _Asked(model, name, request, _options(model, request), keep_alive, gone)

    def _asked_to_embed(self, name: str, request: Line, gone: Gone) -> _Asked:
        try:
            return self._asked(name, request, gone)
        except ApiError as error:
            raise _try_pulling(name) if error.status == 404 else error from error

    def _load_or_unload(self, asked: _Asked, what: str) -> str:
        """A request with nothing to answer; returns what was done."""
        if asked.keep_alive == 0:
            self.scheduler.expire(asked.model)
            return "unload"
        self._check(asked, what)
        with self._used(asked):
            return "load"

    def _check(self, asked: _Asked, what: str) -> None:
        """Refuse what the model cannot do. One that can think does so, unless it is told not to."""
        if not asked.model.file.exists():
            raise _try_pulling(asked.name)
        if "thinking" in asked.model.capabilities:
            asked.request.setdefault("think", True)
        elif asked.request.get("think"):
            raise ApiError(400, f'"{asked.name}" does not support thinking')
        if "completion" not in asked.model.capabilities:
            raise ApiError(400, f'"{asked.name}" does not support {what}')
        if asked.request.get("tools") and "tools" not in asked.model.capabilities:
            raise ApiError(400, f"{asked.model.name.full} does not support tools")

    @contextlib.contextmanager
    def _used(self, asked: _Asked) -> Iterator[Runner]:
        """The model, loaded."""
        if not asked.model.file.exists():
            raise _try_pulling(asked.name)
        context = asked.options.get("num_ctx") or self.settings.context_length or _DEFAULT_CONTEXT
        context = min(context, asked.model.trained_context or context)
        with self.scheduler.use(asked.model, context, asked.keep_alive, asked.gone) as runner:
            yield runner

    def _answer(
        self, asked: _Asked, line: Callable[..., Line], speak: Callable[[Runner], Iterator[Piece]]
    ) -> Line | Lines:
        start = time.time_ns()
        with contextlib.ExitStack() as stack:
            runner = stack.enter_context(self._used(asked))
            loaded = time.time_ns()
            pieces = speak(runner)
            lines = _lines(stack.pop_all(), pieces, line, (start, loaded))
        return lines if asked.request.get("stream", True) else _joined(lines)


def _lines(
    held: contextlib.ExitStack, pieces: Iterator[Piece], line: Callable[..., Line], times: tuple[int, int]
) -> Lines:
    """A line for each piece of the answer, the last one with the reason for its end and the figures."""
    start, loaded = times
    with held:
        for piece in pieces:
            if piece.end is None:
                yield line(piece, done=False)
                continue
            context = {} if piece.end.context is None else {"context": piece.end.context}
            yield line(
                piece,
                done=True,
                done_reason=piece.end.reason,
                **context,
                total_duration=time.time_ns() - start,
                load_duration=loaded - start,
                **piece.end.figures,
            )


def _completed(runner: Runner, asked: _Asked, prompt: str) -> Iterator[Piece]:
    """What the model says after a prompt."""
    if asked.request.get("truncate", True):
        prompt = _shortened(runner, prompt, asked.options)
    shape = asked.request.get("format")
    schema = {"json_schema": shape if isinstance(shape, dict) else {}} if shape else {}
    asks = {"prompt": prompt, "cache_prompt": True, **_child_options(asked), **schema}
    with_context = "prompt" in asked.request and not asked.request.get("raw")
    return _said(runner, runner.complete(asks, asked.gone), prompt if with_context else None)


def _said(runner: Runner, events: Iterator[Line], prompt: str | None) -> Iterator[Piece]:
    """`prompt`: where the end tells the tokens of the prompt and the answer."""
    said = ""
    for event in events:
        said += event["content"]
        if event["content"]:
            yield Piece(event["content"])
    figures = {
        "prompt_eval_count": event["tokens_evaluated"],
        "prompt_eval_duration": int(event["timings"]["prompt_ms"] * 1000) * 1000,
        "eval_count": event["tokens_predicted"],
        "eval_duration": int(event["timings"]["predicted_ms"] * 1000) * 1000,
    }
    reason = _REASONS.get(event.get("stop_type", ""), "stop")
    yield Piece(end=End(reason, figures, None if prompt is None else runner.tokens(prompt + said)))


def _joined(lines: Lines) -> Line:
    """The last line, with the text of all."""
    text = thinking = ""
    for line in lines:
        message = line.get("message", {})
        text += message.get("content", "") or line.get("response", "")
        thinking += message.get("thinking", "")
    if "message" in line:
        line["message"] = Piece(text, thinking, message.get("tool_calls", [])).message()
    else:
        line["response"] = text
    return line


def _child_options(asked: _Asked) -> Line:
    """By llama-server's names."""
    return {_LLAMA_NAMES.get(name, name): value for name, value in asked.options.items() if name != "num_ctx"}


def _chat_of(asked: _Asked, messages: list[Line]) -> Line:
    return chat_request(messages, asked.request, _child_options(asked))


def _options(model: Model, request: Line) -> Line:
    merged = {**model.options, **request.get("options", {})}
    options = {name: value for name, value in merged.items() if name in _OPTIONS and value is not None}
    for name, value in options.items():
        types, described = _OPTIONS[name]
        if not isinstance(value, types) or isinstance(value, bool):
            raise ApiError(500, f'option "{name}" must be {described}')
    return options


def _keep_alive(request: Line) -> int | None:
    """Nanoseconds."""
    given = request.get("keep_alive")
    if given is None:
        return None
    try:
        value = duration(given) if isinstance(given, str) else int(given * SECOND)
    except ValueError as error:
        raise ApiError(400, str(error)) from error
    return FOREVER if value < 0 else value


def _rendered(template: str, messages: list[Line]) -> str:
    """ChatML, or the system's and the last user's text in the places that any other template has for them."""
    if template == CHATML:
        turns = [
            f"<|im_start|>{message.get('role', '')}\n{message.get('content', '')}<|im_end|>\n" for message in messages
        ]
        return "".join(turns) + "<|im_start|>assistant\n"
    systems = [message["content"] for message in messages if message.get("role") == "system"]
    others = [message.get("content", "") for message in messages if message.get("role") != "system"]
    values = {"System": "\n\n".join(systems), "Prompt": others[-1] if others else ""}
    return _FIELD.sub(lambda found: values.get(found[1], ""), template)


def _fitting(runner: Runner, template: str, messages: list[Line]) -> str:
    """The prompt without the oldest messages that the context has no room for; system messages stay."""
    for shorter in _ever_shorter(messages):
        prompt = _rendered(template, shorter)
        if len(runner.tokens(prompt)) <= runner.context:
            break
    return prompt


def _fitting_chat(runner: Runner, asked: _Asked, messages: list[Line]) -> Line:
    """The same for a chat that the child renders, unless it is not to be cut: the child refuses what is too long."""
    for shorter in _ever_shorter(messages):
        chat = _chat_of(asked, shorter)
        last = len(shorter) == 1 or not asked.request.get("truncate", True)
        if last or len(runner.tokens(runner.prompt_of(chat))) <= runner.context:
            break
    return chat


def _ever_shorter(messages: list[Line]) -> Iterator[list[Line]]:
    for first in range(len(messages)):
        systems = [message for message in messages[:first] if message.get("role") == "system"]
        yield [*systems, *messages[first:]]


def _shortened(runner: Runner, prompt: str, options: Line) -> str:
    """A prompt that is too long all the same keeps its beginning, and of the rest as much as half of the context."""
    tokens = runner.tokens(prompt)
    if len(tokens) < runner.context:
        return prompt
    kept = options.get("num_keep", 4)
    return runner.text(tokens[:kept] + tokens[-(runner.context // 2) :])


def _cut(runner: Runner, text: str, *, truncate: bool) -> str:
    """A text for embedding, with room for the token at its beginning."""
    tokens = runner.tokens(text)
    if len(tokens) < runner.context:
        return text
    if not truncate:
        raise ApiError(400, "the input length exceeds the context length")
    return runner.text(tokens[: runner.context - 2])


def _normal(vector: list[float]) -> list[float]:
    length = max(math.sqrt(sum(number * number for number in vector)), 1e-12)
    return [number / length for number in vector]


def _try_pulling(name: str) -> ApiError:
    return ApiError(404, f'model "{name}" not found, try pulling it first')
