"""What the verdict's schema promises of values besides their Python types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias


@dataclass(frozen=True)
class Promise:
    """What the schema promises of a value besides its Python type, in the terms of JSON Schema.

    It is for readers of the JSON. The verifier's own reader accepts any value of the type: so a word that a later
    version adds to a list is not misread.
    """

    words: Mapping[str, object]

    def __get_pydantic_json_schema__(self, schema: Any, make: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Adds them when pydantic describes a field whose type is annotated with this."""
        return {**make(schema), **self.words}


Seconds: TypeAlias = Annotated[float, Promise({"minimum": 0})]
Number: TypeAlias = Annotated[int, Promise({"minimum": 0})]
Dollars: TypeAlias = Annotated[float, Promise({"minimum": 0})]
Time: TypeAlias = Annotated[str, Promise({"format": "date-time"})]
Day: TypeAlias = Annotated[str, Promise({"format": "date"})]
Rate: TypeAlias = Annotated[float, Promise({"minimum": 0})]
Bytes: TypeAlias = Annotated[int | None, Promise({"minimum": 0})]
