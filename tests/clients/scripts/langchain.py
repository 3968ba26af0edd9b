"""What LangChain can do, asked of one model. Prints a JSON object: what was asked → what came of it."""

import json
import os
from collections.abc import Callable
from typing import Literal

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

WHERE = {"base_url": os.environ["BASE_URL"] + "/v1", "api_key": os.environ["API_KEY"], "max_retries": 0}
model = ChatOpenAI(model=os.environ["MODEL"], max_tokens=200, **WHERE)
responses = ChatOpenAI(model=os.environ["MODEL"], max_tokens=200, use_responses_api=True, **WHERE)
ASKED = "Who are you?"


@tool
def report_weather(city: str) -> str:
    """The weather of a city."""
    return "sun"


class Place(BaseModel):
    city: Literal["Paris"]  # a tiny model would not end a name by itself


def with_tools() -> str:
    answer = model.bind_tools([report_weather]).invoke(ASKED)
    return answer.content or " ".join(f"call {call['name']}" for call in answer.tool_calls)


ROUNDS: dict[str, Callable[[], str]] = {
    "chat": lambda: model.invoke(ASKED).content,
    "stream": lambda: "".join(chunk.content for chunk in model.stream(ASKED)),
    "tools": with_tools,
    "responses": lambda: responses.invoke(ASKED).text,
    "structured": lambda: type(model.with_structured_output(Place).invoke(ASKED)).__name__,
}
found = {}
for name, ask in ROUNDS.items():
    try:
        found[name] = ask().strip()
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
