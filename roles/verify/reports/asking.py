"""How to query the endpoint from a shell or from Python, to be copied from a report. It never contains the key."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from roles.contract.verdict import DeployedRoute, Endpoint

_IN_PYTHON = {
    "chat": ("chat.completions", "choices[0].message.content"),
    "completion": ("completions", "choices[0].text"),
    "embedding": ("embeddings", "data[0].embedding"),
}
"""Mode → the OpenAI client's method for it, and the path to the model's words in its answer."""


def curl(endpoint: Endpoint, route: DeployedRoute) -> str:
    """A command line for a shell on the host, for a user that may read the key.

    The key goes from its file to curl through a pipe: as an argument it would be visible in the process list.
    """
    file, variable = shlex.quote(endpoint.key_file), endpoint.key_variable
    return (
        f"""(. {file}; printf 'Authorization: Bearer %s' "${variable}") |\n"""
        f"  curl -sS -H @- -H 'Content-Type: application/json' {shlex.quote(endpoint.url + route.path)} \\\n"
        f"  -d {shlex.quote(_json(route))}"
    )


def key_export(endpoint: Endpoint) -> str:
    """A command line that puts the key into the environment of a shell."""
    file, variable = shlex.quote(endpoint.key_file), endpoint.key_variable
    return f"""export {variable}="$(. {file}; printf %s "${variable}")\""""


def openai_client(endpoint: Endpoint, routes: Sequence[DeployedRoute]) -> str:
    """A Python program that queries the first route that OpenAI's client has a method for."""
    route = next((route for route in routes if route.mode in _IN_PYTHON), None)
    if route is None:
        return ""
    method, words = _IN_PYTHON[route.mode]
    arguments = ", ".join(f"{name}={value!r}" for name, value in route.body.items())
    return (
        "import os\n\nfrom openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{endpoint.url}", api_key=os.environ["{endpoint.key_variable}"])\n'
        f"answer = client.{method}.create({arguments})\n"
        f"print(answer.{words})"
    )


def _json(route: DeployedRoute) -> str:
    text = json.dumps(route.body, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(route.body)
