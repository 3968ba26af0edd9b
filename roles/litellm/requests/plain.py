"""What a person reads of a server's failure: a sentence without an address, a class of LiteLLM's or another's route.

It knows LiteLLM's words, and nothing else of it. The gateway's journal has the whole error.
"""

from __future__ import annotations

import re

_CLASSES = re.compile(r"^\s*(?:(?:litellm\.)?\w+(?:Error|Exception|Timeout)\b:?(?:\s*-\s*|\s+|$)|litellm\.\w+:\s*)")
"""`litellm.BadRequestError: `, `Hosted_vllmException - `, of which each layer puts its own before the message."""
_MORE = re.compile(
    r"\s*(?:Received Model Group=|Available Model Group Fallbacks=|LiteLLM Retried:|Deployment Info:).*", re.DOTALL
)
"""What LiteLLM appends to a message: the names of other routes."""
_INNER = re.compile(r"""["']message["']: ?(["'])((?:\\.|(?!\1).)*)\1""", re.DOTALL)
"""The message in a server's own error, which LiteLLM passes on as JSON, or as Python shows it."""
_ADDRESS = re.compile(
    r"https?://[^\s'\")]+|\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b|\bREDACTED(?::\d+)?|\blocalhost(?::\d+)?"
)
_UNREACHABLE = re.compile("[Cc]onnection error|[Cc]onnection refused|Cannot connect|disconnected|reset by peer")
_TIMED_OUT = re.compile("timed out|[Tt]imeout")
_COOLING = re.compile(r"No deployments available for selected model|No healthy deployment")
_LONGEST = 300


def plain(name: str, error: str, kind: str) -> str:
    """A message for the person who asked.

    Args:
        name: the requested name.
        error: LiteLLM's message.
        kind: the name of the error's class.
    """
    if _COOLING.search(error):
        return f'No server of "{name}" is ready: each has failed just now. Try again in some seconds.'
    # The classes first: LiteLLM calls a connection error whatever it cannot name.
    message = _MORE.sub("", error)
    while (shorter := _CLASSES.sub("", message, count=1)) != message:
        message = shorter
    if kind == "Timeout" or _TIMED_OUT.search(message):
        return f'The server of "{name}" did not answer in time.'
    if _UNREACHABLE.search(message):
        return f'The server of "{name}" cannot be reached.'
    if inner := _INNER.search(message):
        message = inner[2]
    lines = [line.strip() for line in _ADDRESS.sub("its server", message).splitlines() if line.strip()]
    return lines[0][:_LONGEST] if lines else f'The server of "{name}" failed.'
