"""What Anthropic's Python library can do with one model. Prints a JSON object: what was asked → what came of it."""

import json
import os
from collections.abc import Callable
from typing import Any

from anthropic import Anthropic, APIStatusError

MODEL = os.environ["MODEL"]
WHERE = {"api_key": os.environ["API_KEY"], "max_retries": 0, "timeout": 60}
ASKED = {"model": MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": "Who are you?"}]}
TOOLS = [{"name": "report_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]
SOURCE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PICTURE = {**ASKED, "messages": [{"role": "user", "content": [{"type": "image", "source": SOURCE}]}]}
client = Anthropic(base_url=os.environ["BASE_URL"], **WHERE)
with_v1 = Anthropic(base_url=os.environ["BASE_URL"] + "/v1", **WHERE)


def words(message: Any) -> str:
    return " ".join(part.text if part.type == "text" else f"call {part.name}" for part in message.content)


def stream(**more: Any) -> str:
    with client.messages.stream(**ASKED, **more) as events:
        return words(events.get_final_message())


def count() -> str:
    counted = client.messages.count_tokens(model=MODEL, messages=ASKED["messages"]).input_tokens
    return "some" if counted > 0 else "none"


ROUNDS: dict[str, Callable[[], str]] = {
    "message": lambda: words(client.messages.create(**ASKED)),
    "base URL with /v1": lambda: words(with_v1.messages.create(**ASKED)),
    "stream": stream,
    "tools": lambda: words(client.messages.create(**ASKED, tools=TOOLS)),
    "tools streamed": lambda: stream(tools=TOOLS),
    "count_tokens": count,
    "picture": lambda: words(client.messages.create(**PICTURE)),
}
found = {}
for name, ask in ROUNDS.items():
    try:
        found[name] = ask().strip()
    except APIStatusError as error:
        found[name] = f"{error.status_code} {error.body['error']['message']}"
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
