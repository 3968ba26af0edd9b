"""How to query the endpoint from a shell or from Python, to be copied from a report. It never contains the key.

On the host, the key is read from its file. Elsewhere, whoever was given one has it in `API_KEY`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from roles.contract.deployed import DeployedRoute, Endpoint

_IN_PYTHON = {
    "chat": ("chat.completions", "choices[0].message.content"),
    "completion": ("completions", "choices[0].text"),
    "embedding": ("embeddings", "data[0].embedding"),
}
"""Mode → the OpenAI client's method for it, and the path to the model's words in its answer."""


CLIENTS_KEY = "API_KEY"
"""The environment variable in which a client has its key."""


def curl(endpoint: Endpoint, route: DeployedRoute) -> str:
    """A command line for a shell on the host, for a user that may read the key.

    The key goes from its file to curl through a pipe: as an argument it would be visible in the process list.
    """
    file, variable = shlex.quote(endpoint.key_file), endpoint.key_variable
    return _curl(f"""(. {file}; printf 'Authorization: Bearer %s' "${variable}")""", endpoint.url, route)


def clients_curl(url: str, route: DeployedRoute) -> str:
    """A command line for the shell of a client."""
    return _curl(f"""printf 'Authorization: Bearer %s' "${CLIENTS_KEY}\"""", url, route)


def key_export(endpoint: Endpoint) -> str:
    """A command line that puts the key into the environment of a shell."""
    file, variable = shlex.quote(endpoint.key_file), endpoint.key_variable
    return f"""export {variable}="$(. {file}; printf %s "${variable}")\""""


def openai_client(endpoint: Endpoint, routes: Sequence[DeployedRoute]) -> str:
    """A Python program that queries the first route that OpenAI's client has a method for; empty if there is none."""
    return _openai_client(endpoint.url, endpoint.key_variable, routes)


def clients_openai_client(url: str, routes: Sequence[DeployedRoute]) -> str:
    """The same for a client."""
    return _openai_client(url, CLIENTS_KEY, routes)


def _curl(header: str, url: str, route: DeployedRoute) -> str:
    return (
        f"{header} |\n"
        f"  curl -sS -H @- -H 'Content-Type: application/json' {shlex.quote(url + route.path)} \\\n"
        f"  -d {shlex.quote(_json(route))}"
    )


def _openai_client(url: str, variable: str, routes: Sequence[DeployedRoute]) -> str:
    route = next((route for route in routes if route.mode in _IN_PYTHON), None)
    if route is None:
        return ""
    method, words = _IN_PYTHON[route.mode]
    arguments = ", ".join(f"{name}={value!r}" for name, value in route.body.items())
    return (
        "import os\n\nfrom openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{url}", api_key=os.environ["{variable}"])\n'
        f"answer = client.{method}.create({arguments})\n"
        f"print(answer.{words})"
    )


def _json(route: DeployedRoute) -> str:
    text = json.dumps(route.body, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(route.body)
