"""OpenAI's own Python client, on a host, pointed at the gateway by what a report says and by nothing else."""

from __future__ import annotations

from tests.labhost import LabHost

_PROGRAM = """
import json, sys
from openai import OpenAI
deployed = json.load(sys.stdin)["deployment"]
endpoint = deployed["endpoint"]
(key,) = [
    line.strip().split("=", 1)[1].strip('"')
    for line in open(endpoint["key_file"])
    if line.startswith(endpoint["key_variable"] + "=")
]
client = OpenAI(base_url=endpoint["url"], api_key=key)
assert {model.id for model in client.models.list()} >= {route["name"] for route in deployed["routes"]}
calls = {"chat": client.chat.completions.create, "completion": client.completions.create,
         "embedding": client.embeddings.create}
for route in deployed["routes"]:
    for name in (route["name"], *route["aliases"]):
        if route["mode"] in calls:
            print(name, calls[route["mode"]](**{**route["body"], "model": name}).model_dump_json())
"""
_PYTHON = "/etc/ai-backend/install/litellm/bin/python"
"""It has the client: LiteLLM is built on it."""


def answers_by_the_report(host: LabHost) -> dict[str, str]:
    """Public name, or alias → the JSON of what the client got for the request that the report gives as an example."""
    host.run("cat > /root/client.py", input=_PROGRAM)
    said = host.run(
        f"/etc/ai-backend/bin/verify --json > /root/verdict.json; {_PYTHON} /root/client.py < /root/verdict.json",
        timeout=180,
    ).stdout
    return dict(line.split(" ", 1) for line in said.splitlines())
