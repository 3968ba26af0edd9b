"""What OpenAI's Python library can do, asked of one model. Prints a JSON object: what was asked → what came of it."""

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any, Literal

from openai import APIStatusError, AsyncOpenAI, OpenAI
from pydantic import BaseModel

MODEL = os.environ["MODEL"]
WHERE = {"base_url": os.environ["BASE_URL"] + "/v1", "api_key": os.environ["API_KEY"], "max_retries": 0, "timeout": 60}
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 64}
RESPONSE = {"model": MODEL, "input": "Who are you?", "max_output_tokens": 64}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "report_weather", "parameters": PARAMETERS}}]
RESPONSE_TOOLS = [{"type": "function", "name": "report_weather", "parameters": PARAMETERS, "strict": False}]
PICTURE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
client = OpenAI(**WHERE)


class Place(BaseModel):
    city: Literal["Paris"]  # a tiny model would not end a name by itself


def words(answer: Any) -> str:
    """Of an answer or a part of one; of one that calls tools, their names."""
    said = ""
    for choice in answer.choices:
        message = choice.message if hasattr(choice, "message") else choice.delta
        said += message.content or ""
        said += "".join(f"call {call.function.name}" for call in message.tool_calls or () if call.function.name)
    return said


def chat(**more: Any) -> str:
    return words(client.chat.completions.create(**{**CHAT, **more}))


def stream(**more: Any) -> str:
    chunks = list(client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}, **more))
    if not any(chunk.usage and chunk.usage.completion_tokens for chunk in chunks):
        return "no usage"
    return "".join(map(words, chunks))


async def at_once() -> str:
    async with AsyncOpenAI(**WHERE) as each:
        answers = await asyncio.gather(*(each.chat.completions.create(**CHAT) for _ in range(3)))
    return " / ".join(set(map(words, answers)))


def parse() -> str:
    answer = client.chat.completions.parse(**{**CHAT, "max_tokens": 200}, response_format=Place)
    return answer.choices[0].message.parsed.city


def responses(**more: Any) -> str:
    answer = client.responses.create(**RESPONSE, **more)
    return answer.output_text or "".join(f"call {item.name}" for item in answer.output if item.type == "function_call")


def responses_streamed() -> str:
    events = client.responses.create(**RESPONSE, stream=True)
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def responses_helper() -> str:
    with client.responses.stream(**RESPONSE) as events:
        return "".join(event.delta for event in events if event.type == "response.output_text.delta")


ROUNDS: dict[str, Callable[[], str]] = {
    "models": lambda: "listed" if MODEL in [model.id for model in client.models.list()] else "not listed",
    "chat": chat,
    "stream": stream,
    "async": lambda: asyncio.run(at_once()),
    "tools": lambda: chat(tools=TOOLS),
    "tools streamed": lambda: stream(tools=TOOLS),
    "tool forced": lambda: chat(tools=TOOLS, tool_choice="required", max_tokens=200),
    "parse": parse,
    "responses": responses,
    "responses streamed": responses_streamed,
    "responses.stream": responses_helper,
    "responses with tools": lambda: responses(tools=RESPONSE_TOOLS),
    "completion": lambda: client.completions.create(model=MODEL, prompt="Hi", max_tokens=16).choices[0].text,
    "picture": lambda: chat(messages=[{"role": "user", "content": PICTURE}]),
    "embedding": lambda: str(client.embeddings.create(model=MODEL, input="x")),
}
found = {}
for name, ask in ROUNDS.items():
    try:
        found[name] = ask().strip()
    except APIStatusError as error:
        found[name] = f"{error.status_code} {error.body['message']}"
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
