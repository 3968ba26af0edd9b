"""What LlamaIndex can do, asked of one model. Prints a JSON object: what was asked → what came of it."""

import json
import os
from collections.abc import Callable

from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike

MODEL = os.environ["MODEL"]
WHERE = {"api_base": os.environ["BASE_URL"] + "/v1", "api_key": os.environ["API_KEY"], "max_retries": 0}
model = OpenAILike(model=MODEL, is_chat_model=True, max_tokens=64, **WHERE)
ASKED = [ChatMessage(role="user", content="Who are you?")]

ROUNDS: dict[str, Callable[[], str]] = {
    "chat": lambda: model.chat(ASKED).message.content,
    "stream": lambda: "".join(chunk.delta for chunk in model.stream_chat(ASKED)),
    "complete": lambda: model.complete("Who are you?").text,
    "class OpenAI": lambda: OpenAI(model=MODEL, **WHERE).chat(ASKED).message.content,
    "class OpenAI, gpt-4o": lambda: OpenAI(model="gpt-4o", **WHERE).chat(ASKED).message.content,
}
found = {}
for name, ask in ROUNDS.items():
    try:
        found[name] = ask().strip()
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
