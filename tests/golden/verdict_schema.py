"""`docs/verdict.schema.json`, made of the types in `roles/contract/verdict.py` and their docstrings."""

from __future__ import annotations

import json
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from roles.contract.verdict import SCHEMA_NAME, Status, Verdict


class _Document(BaseModel):
    """Has the settings that its field's types are described with."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    verdict: Verdict


class _Words(GenerateJsonSchema):
    """What is written always has every field; a field's name is title enough."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        return True

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def generate(self, schema: CoreSchema, mode: Any = "serialization") -> JsonSchemaValue:
        """On top the verdict, with what `Verdict.to_json` adds to its fields."""
        found = super().generate(schema, mode)
        definitions = found["$defs"]
        verdict = definitions.pop("Verdict")
        properties = {
            "$schema": {"description": "The name of this schema.", "const": SCHEMA_NAME},
            "status": {
                "description": "`fail` when a check fails, else `unknown` when a check could not be made or there is "
                "none, else `pass`.",
                "enum": [*get_args(Status)],
            },
            **verdict["properties"],
        }
        return {
            "$schema": self.schema_dialect,
            "$id": SCHEMA_NAME,
            **verdict,
            "properties": properties,
            "required": [*properties],
            "$defs": definitions,
        }


def verdict_schema() -> str:
    """The text of the file."""
    schema = _Document.model_json_schema(mode="serialization", schema_generator=_Words)
    return f"{json.dumps(_unwrapped(schema), indent=2, ensure_ascii=False)}\n"


def _unwrapped(found: Any) -> Any:
    """Without the line breaks of docstrings."""
    if isinstance(found, dict):
        return {key: _unwrapped(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_unwrapped(each) for each in found]
    return " ".join(found.split()) if isinstance(found, str) else found
