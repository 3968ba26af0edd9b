"""What is wrong with a request, or too much for its route: decided from its body alone, before any server sees it.

A mistake is answered at once, by the route that was asked. If a server had to find it, some answer it like a failure
of their own (llama-server: 500 to a picture; llama-cpp-python: 500 to any field that it cannot read), and LiteLLM would
send it on to fallbacks and put healthy servers into cooldown, for everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from roles.contract.abilities import Abilities
from roles.contract.modes import MODES, Mode

Call: TypeAlias = Literal["chat", "completion", "embedding", "rerank", "responses", "messages"]
"""The kinds of requests, by the API that they follow: OpenAI's four, its Responses, and Anthropic's Messages."""

Body: TypeAlias = dict[str, Any]

_MODES: Mapping[Call, tuple[Mode, ...]] = {
    "chat": ("chat",),
    # A server for chats completes texts, too.
    "completion": ("completion", "chat"),
    "embedding": ("embedding",),
    "rerank": ("rerank",),
    "responses": ("chat",),
    "messages": ("chat",),
}
"""The modes of a route to which a call may be sent."""


class Mistake(Exception):
    """A request that cannot be served as it is.

    Attributes:
        message: what is wrong, for the person who sent it.
        param: the field.
        code: for programs, as OpenAI's API names it where it does.
    """

    def __init__(self, message: str, param: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.message, self.param, self.code = message, param, code


def correct(call: Call, body: Body, name: str, mode: Mode, abilities: Abilities) -> tuple[str, ...]:
    """Leave out of a request, in place, what its route cannot do and what the answer does not depend on.

    Args:
        body: the request as it was sent.
        name: the requested name.
        mode: what the route answers.
        abilities: what it can do.

    Returns:
        The names of the fields that were left out or made smaller.

    Raises:
        Mistake: it cannot be served.
    """
    if mode not in _MODES[call]:
        path = MODES[mode].path
        raise Mistake(f'"{name}" {MODES[mode].claim}: send its requests to /v1{path}.', "model", "model_not_supported")
    _check_types(call, body)
    _check_content(call, body, name, abilities)
    _check_answer_form(call, body, name, abilities)
    if call == "chat":
        _force_by_choice(body)
    return (
        *_without_pointless(body),
        *_without_unsupported(body, name, abilities),
        *_within_context(call, body, abilities),
    )


# Types and ranges.

_Check: TypeAlias = Callable[[Any], bool]


def _number(lowest: float, highest: float) -> tuple[_Check, str]:
    return (
        lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and lowest <= value <= highest,
        f"a number from {lowest:g} to {highest:g}",
    )


def _whole(lowest: int) -> tuple[_Check, str]:
    return (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= lowest,
        f"a whole number, at least {lowest}",
    )


_BOOL: tuple[_Check, str] = (lambda value: isinstance(value, bool), "true or false")
_TEXT: tuple[_Check, str] = (lambda value: isinstance(value, str), "a string")
_OBJECT: tuple[_Check, str] = (lambda value: isinstance(value, dict), "an object")
_OBJECTS: tuple[_Check, str] = (
    lambda value: isinstance(value, list) and all(isinstance(each, dict) for each in value),
    "a list of objects",
)
_TEXTS: tuple[_Check, str] = (
    lambda value: (
        isinstance(value, str)
        or (isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value))
    ),
    "a string, or a list of strings",
)
_TOKENS: tuple[_Check, str] = (
    lambda value: (
        isinstance(value, str)
        or (
            isinstance(value, list)
            and bool(value)
            and all(
                (isinstance(each, (str, int)) and not isinstance(each, bool))
                or (isinstance(each, list) and all(isinstance(token, int) for token in each))
                for each in value
            )
        )
    ),
    "a string, a list of strings, or tokens",
)

_SAMPLING: Mapping[str, tuple[_Check, str]] = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "stream": _BOOL,
}
_OPENAI: Mapping[str, tuple[_Check, str]] = {
    **_SAMPLING,
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "max_tokens": _whole(1),
    "n": _whole(1),
    "seed": (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    "stop": _TEXTS,
    "stream_options": _OBJECT,
    "logit_bias": _OBJECT,
}
_TOOLS: Mapping[str, tuple[_Check, str]] = {"tools": _OBJECTS, "parallel_tool_calls": _BOOL}
_FIELDS: Mapping[Call, Mapping[str, tuple[_Check, str]]] = {
    "chat": {
        **_OPENAI,
        **_TOOLS,
        "messages": _OBJECTS,
        "max_completion_tokens": _whole(1),
        "logprobs": _BOOL,
        "top_logprobs": _whole(0),
        "response_format": _OBJECT,
        "reasoning_effort": _TEXT,
        "functions": _OBJECTS,
    },
    "completion": {**_OPENAI, "prompt": _TOKENS, "logprobs": _whole(0), "best_of": _whole(1), "echo": _BOOL},
    "embedding": {"input": _TOKENS, "dimensions": _whole(1)},
    "rerank": {
        "query": _TEXT,
        "documents": (lambda value: isinstance(value, list) and bool(value), "a list that is not empty"),
        "top_n": _whole(1),
    },
    "responses": {
        **_SAMPLING,
        **_TOOLS,
        "input": (lambda value: isinstance(value, (str, list)) and bool(value), "a string, or a list of items"),
        "instructions": _TEXT,
        "max_output_tokens": _whole(1),
        "top_logprobs": _whole(0),
        "text": _OBJECT,
        "reasoning": _OBJECT,
    },
    "messages": {
        **_SAMPLING,
        "messages": _OBJECTS,
        "max_tokens": _whole(1),
        "tools": _OBJECTS,
        "thinking": _OBJECT,
        "top_k": _whole(0),
        "stop_sequences": _TEXTS,
    },
}
_REQUIRED: Mapping[Call, tuple[str, ...]] = {
    "chat": ("messages",),
    "completion": ("prompt",),
    "embedding": ("input",),
    "rerank": ("query", "documents"),
    "responses": ("input",),
    "messages": ("messages", "max_tokens"),
}
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def _check_types(call: Call, body: Body) -> None:
    for field in _REQUIRED[call]:
        if body.get(field) is None:
            raise Mistake(f"`{field}` is missing.", field, "missing_required_parameter")
    for field, (is_right, wanted) in _FIELDS[call].items():
        # `null` means the default, as in OpenAI's API.
        if (value := body.get(field)) is not None and not is_right(value):
            raise Mistake(f"`{field}` must be {wanted}.", field, "invalid_type")
    if call in ("chat", "messages"):
        _check_messages(body["messages"])
    _check_tools(call, body)
    if call == "responses" and body.get("previous_response_id"):
        raise Mistake(
            "Responses are not stored here: send the whole conversation as `input`, without `previous_response_id`.",
            "previous_response_id",
        )


def _check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    if not messages:
        raise Mistake("`messages` is empty.", "messages", "missing_required_parameter")
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        if message.get("role") not in _ROLES:
            raise Mistake(f"`{place}.role` must be one of {', '.join(_ROLES)}.", f"{place}.role")
        content = message.get("content")
        if content is None and message["role"] != "assistant":
            raise Mistake(f"`{place}.content` is missing.", f"{place}.content", "missing_required_parameter")
        if not (
            content is None
            or isinstance(content, str)
            or (isinstance(content, list) and all(isinstance(part, dict) and "type" in part for part in content))
        ):
            raise Mistake(
                f"`{place}.content` must be a string, or a list of parts with a `type`.",
                f"{place}.content",
                "invalid_type",
            )


def _check_tools(call: Call, body: Body) -> None:
    for number, tool in enumerate(body.get("tools") or ()):
        function = tool.get("function") if call == "chat" else tool
        has_name = isinstance(function, dict) and isinstance(function.get("name"), str)
        if call == "chat" and tool.get("type") == "function" and not has_name:
            raise Mistake(f"`tools[{number}].function.name` is missing.", f"tools[{number}].function.name")
        if "type" not in tool and not has_name:
            raise Mistake(f"`tools[{number}].type` is missing.", f"tools[{number}].type")
    choice = body.get("tool_choice")
    if choice is not None and not isinstance(choice, (str, dict)):
        raise Mistake("`tool_choice` must be a string or an object.", "tool_choice", "invalid_type")
    if call == "chat" and choice not in (None, "none", "auto") and not body.get("tools"):
        raise Mistake("`tool_choice` needs `tools`.", "tool_choice")


# What a chat contains.

_IMAGES = ("image_url", "input_image", "image")
_AUDIO = ("input_audio", "audio")
_FILES = ("file", "input_file", "document")


def _check_content(call: Call, body: Body, name: str, abilities: Abilities) -> None:
    for place, kind in _parts(call, body):
        if kind in _IMAGES and not abilities.images:
            raise Mistake(f'"{name}" takes no images.', place, "image_not_supported")
        if kind in _AUDIO and not abilities.audio:
            raise Mistake(f'"{name}" takes no audio.', place, "audio_not_supported")
        if kind in _FILES:
            raise Mistake(f'"{name}" takes no files: send their text.', place, "file_not_supported")
    if call == "chat" and "audio" in (body.get("modalities") or ()):
        raise Mistake(f'"{name}" answers in text only.', "modalities", "audio_not_supported")


def _parts(call: Call, body: Body) -> Iterator[tuple[str, str]]:
    """The place and the type of each part of the conversation."""
    field = "input" if call == "responses" else "messages"
    items = body.get(field)
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            for part in _nested(item.get("content")):
                yield f"{field}[{number}].content", str(part.get("type"))


def _nested(content: object) -> Iterator[Mapping[str, Any]]:
    """The parts, also those of a tool's result."""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            yield part
            yield from _nested(part.get("content"))


# What a client asks of the answer, and cannot do without.


def _check_answer_form(call: Call, body: Body, name: str, abilities: Abilities) -> None:
    if not abilities.several:
        for field in ("n", "best_of"):
            if (body.get(field) or 1) > 1:
                raise Mistake(f'"{name}" gives one answer to a request: `{field}` must be 1.', field)
    if not abilities.logprobs:
        for field in ("logprobs", "top_logprobs"):
            if body.get(field):
                raise Mistake(f'"{name}" gives no `{field}`.', field)
    if not abilities.structured_outputs:
        for field, form in (("response_format", body.get("response_format")), ("text", _text_format(call, body))):
            if isinstance(form, dict) and form.get("type") == "json_schema":
                raise Mistake(f'"{name}" cannot answer by a JSON schema.', field, "json_schema_not_supported")
    choice = body.get("tool_choice")
    if not abilities.tools and ((isinstance(choice, dict) and choice.get("type") != "auto") or choice in _FORCED):
        raise Mistake(f'"{name}" calls no tools.', "tool_choice", "tools_not_supported")


_FORCED = ("required", "any")


def _text_format(call: Call, body: Body) -> object:
    return (body.get("text") or {}).get("format") if call == "responses" else None


def _force_by_choice(body: Body) -> None:
    """A tool that is forced by its name is sent as the only one: llama-server reads such a choice as none."""
    choice = body.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") != "function" or not body.get("tools"):
        return
    wanted = (choice.get("function") or {}).get("name")
    named = [tool for tool in body["tools"] if (tool.get("function") or {}).get("name") == wanted]
    if not named:
        raise Mistake(f'`tool_choice` names "{wanted}", which is none of `tools`.', "tool_choice")
    body["tools"], body["tool_choice"] = named, "required"


# What many programs always send.


def _without_pointless(body: Body) -> tuple[str, ...]:
    """vLLM refuses options of a stream where there is none."""
    if body.get("stream") or body.pop("stream_options", None) is None:
        return ()
    return ("stream_options",)


_TOOL_FIELDS = ("tools", "tool_choice", "functions", "function_call", "parallel_tool_calls")
_THINKING_FIELDS = ("reasoning_effort", "thinking", "reasoning")


def _without_unsupported(body: Body, name: str, abilities: Abilities) -> tuple[str, ...]:
    groups = (
        (abilities.tools, _TOOL_FIELDS, "calls no tools", "tools_not_supported"),
        (abilities.thinking, _THINKING_FIELDS, "has no levels of thinking", "reasoning_not_supported"),
    )
    sent = [
        (field, text, code) for able, fields, text, code in groups if not able for field in fields if body.get(field)
    ]
    for field, text, code in sent:
        if abilities.when_unsupported == "refuse":
            raise Mistake(f'"{name}" {text}: leave out `{field}`.', field, code)
        del body[field]
    return tuple(field for field, _, _ in sent)


_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_CHARACTERS = (2.5, 4)
"""Characters for each token, by what usual tokenizers make of code and of prose."""
_REST = 16
"""Tokens of a chat template."""


def _within_context(call: Call, body: Body, abilities: Abilities) -> tuple[str, ...]:
    """Programs send the limit of the model that they were made for, whatever this one's: vLLM refuses that. A limit
    that may be kept stays."""
    if abilities.context_size is None:
        return ()
    least, most = (abilities.context_size - _REST - int(characters(body) / each) for each in _CHARACTERS)
    lowered = [field for field in _LIMITS if (body.get(field) or 0) > max(most, 0)]
    for field in lowered:
        if least > 0:
            body[field] = least
        elif call == "messages":
            # This API must have one.
            body[field] = max(most, 1)
        else:
            # Without a limit the server answers as long as there is room, or says that the prompt is too long.
            del body[field]
    return tuple(lowered)


_PROMPT_FIELDS = ("messages", "input", "prompt", "system", "instructions", "tools", "query")


def characters(body: Mapping[str, Any]) -> int:
    """The length of all text of a request that its model reads."""
    return sum(_length(body.get(field)) for field in _PROMPT_FIELDS)


def _length(value: object) -> int:
    if isinstance(value, str):
        # A picture as a data URL is no text.
        return 0 if value.startswith("data:") else len(value)
    if isinstance(value, Mapping):
        return sum(map(_length, value.values()))
    return sum(map(_length, value)) if isinstance(value, (list, tuple)) else 0
