r"""A program for the project's folder at any commit: it writes a gateway before one server, as a deploy would.

    PYTHONPATH=FOLDER LITELLM_MASTER_KEY=… BENCH_KEY=… \
        python -P generation.py HOME PORT SERVER_PORT INSTANCES ENVIRONMENT

HOME becomes the home folder of a user scope; ENVIRONMENT has LiteLLM. Only what every commit has may be used here.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any

from roles import options
from roles.contract.environment_file import environment_text
from roles.litellm import LiteLLM
from roles.options import EnvSecret, UserScope
from roles.plan import resolve
from roles.rooms import plan_of
from tests.stacks import PLATFORM, native, python, small_stack


def write(home: str, port: int, server_port: int, instances: int, environment: str) -> None:
    settings: dict[str, Any] = {
        "providers": [native(port=server_port, context_size=4096), python(port=server_port + 1)],
        "gateway": LiteLLM(port=port, instances=instances, master_key=EnvSecret("LITELLM_MASTER_KEY")),
        "scope": UserScope(user="bench", home=home),
    }
    if hasattr(options, "Client"):
        settings["clients"] = [options.Client(name="bench", key=EnvSecret("BENCH_KEY"))]
    plan = plan_of(small_stack(**settings))
    generation = resolve(plan, PLATFORM)
    config = Path(plan.layout.config)
    for path, file in generation.files.items():
        _write(config / path, file.content, file.mode)
    for install in plan.installs:
        for path, text in getattr(install.recipe, "files", {}).items():
            _write(config / "install" / install.name / path, text.encode())
    (config / "install" / "litellm").symlink_to(environment)
    for made in plan.generated_secrets:
        value = f"{made.prefix}{secrets.token_hex(16)}"
        _write(Path(made.path), environment_text(dict.fromkeys(made.names, value)).encode(), 0o600)


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


if __name__ == "__main__":
    home, port, server_port, instances, environment = sys.argv[1:]
    write(home, int(port), int(server_port), int(instances), environment)
