"""Keeping secrets out of messages: what an inventory gives in the wrong place may be one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

HIDDEN = "[not shown: it may be a secret]"

_KEY = re.compile(r"\b(?:(?:sk|pk|rk|gh[a-z]|hf|glpat|github_pat|xox[a-z])[-_]|AKIA|AIza|eyJ)[\w.-]{10,}", re.ASCII)
"""The form of keys: of this project and OpenAI, the Hub, GitHub and GitLab, Slack, AWS, Google, and JWTs."""
_LOGIN = re.compile(r"(?<=://)[^/@\s]+(?=@)|(?<![\w@:./-])[^\s/@:\"']+:[^\s/@\"']+(?=@[\w-]+\.\w)")
"""User and password in an address, also one without its scheme."""
_QUERY = re.compile(
    r"(?i)(?<=[?&;])([\w.-]*(?:key|token|secret|signature|sig|passw|auth|credential)[\w.-]*=)[^&\s\"']+"
)
"""A parameter of an address by which somebody is let in."""
_BASE64 = re.compile(r"(?=\S*[a-z])(?=\S*[A-Z])(?=\S*[0-9])(?<![\w+/])[A-Za-z0-9+/]{40,}={0,2}(?![\w+/.-])", re.ASCII)
"""Such as AWS' keys; a path of that length has other signs in it."""
_UUID = re.compile(r"(?<![\w-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-])")
_RANDOM = re.compile(r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,}", re.ASCII)
"""Letters and digits without a break: no name of anything."""
_SECRET_VARIABLE = re.compile("KEY|TOKEN|SECRET|PASSW", re.IGNORECASE)
_SHORTEST = 8
"""Characters of a value in such a variable. Shorter ones would be found in ordinary words."""


def without_secrets(message: str, given: object = None) -> str:
    """A message without what looks like a secret in it.

    Args:
        given: what the inventory gave. Texts in it that look random, or are the values of environment variables such as
            `LITELLM_MASTER_KEY`, are taken for secrets too.
    """
    kept = {value for name, value in os.environ.items() if _SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST}
    for text in sorted(set(_texts(given)), key=len, reverse=True):
        if any(value in text for value in kept):
            message = message.replace(text, HIDDEN)
        for random in (*_UUID.findall(text), *_BASE64.findall(text), *_RANDOM.findall(text)):
            message = message.replace(random, HIDDEN)
    return _QUERY.sub(rf"\1{HIDDEN}", _LOGIN.sub(HIDDEN, _KEY.sub(HIDDEN, message)))


def looks_secret(text: str) -> bool:
    """Whether a key, or a user and password, is in a text."""
    return any(form.search(text) for form in (_KEY, _LOGIN, _QUERY))


def _texts(given: Any) -> Iterator[str]:
    if isinstance(given, str):
        yield given
    elif isinstance(given, BaseModel):
        for name in type(given).model_fields:
            yield from _texts(getattr(given, name))
    elif isinstance(given, Mapping):
        for key, value in given.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(given, list | tuple | set | frozenset):
        for each in given:
            yield from _texts(each)
