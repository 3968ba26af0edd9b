"""The Jinja template in a model's file: what the real server tells from its text. It is the child that renders it."""

from __future__ import annotations

_CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
    "'\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""The plainest of the forms that the real server knows by this name."""
_ALIKE = 100
"""Characters: two templates that differ in fewer are the same one to it."""


def is_chatml(template: str) -> bool:
    """Whether a model with this template is given ChatML as a template of Go's when it is made."""
    # The difference in length is the least that they differ in: the long templates of today are told at once.
    return abs(len(template) - len(_CHATML)) < _ALIKE and _distance(template, _CHATML) < _ALIKE


def capabilities_of(template: str) -> list[str]:
    """What the model can do by its template, in the order of `/api/show`."""
    found = ["tools"] if "tools" in template or "tool_call" in template else []
    return [*found, "thinking"] if _thinks(template) else found


def _thinks(template: str) -> bool:
    if "<think>" in template and "</think>" in template:
        return True
    # Templates that take the thinking out of earlier answers.
    cuts = "content.split('</think>')" in template or 'content.split("</think>")' in template
    return cuts and "reasoning_content" not in template and "<SPECIAL_12>" not in template


def _distance(one: str, other: str) -> int:
    """Levenshtein's: characters to add, to take away or to change."""
    row = list(range(len(other) + 1))
    for number, character in enumerate(one, start=1):
        above, row = row, [number]
        for column, compared in enumerate(other):
            row.append(min(above[column + 1] + 1, row[-1] + 1, above[column] + (character != compared)))
    return row[-1]
