"""The tools and the schema that are in the verifier's requests."""

from __future__ import annotations

from typing import Any

CITY = "Paris"
TOOL = "report_weather"
TOOL_PURPOSE = "Says what the weather is like in a city"
CLOCK_TOOL = "report_time"

PARAMETERS: dict[str, Any] = {
    "type": "object",
    # A single choice keeps the answer short, also for a model that has nothing to say.
    "properties": {"city": {"type": "string", "enum": [CITY]}},
    "required": ["city"],
}
"""Of either tool."""


def _in_a_chat(name: str, description: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": description, "parameters": PARAMETERS}}


ONE_TOOL = [_in_a_chat(TOOL, TOOL_PURPOSE)]
TWO_TOOLS = [*ONE_TOOL, _in_a_chat(CLOCK_TOOL, "Says what time it is in a city")]
TOOLS = {"tools": ONE_TOOL, "tool_choice": "required"}
FORCED_TOOL = {"tools": TWO_TOOLS, "tool_choice": {"type": "function", "function": {"name": CLOCK_TOOL}}}

SCHEMA = {
    "type": "object",
    "properties": {"capital": {"type": "string", "enum": [CITY]}},
    "required": ["capital"],
    "additionalProperties": False,
}
STRUCTURED = {
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}
}
