"""A Python environment from a hash-locked requirements file, extras kept, bytecode compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roles.host.programs.console import Progress, say
from roles.host.programs.files import write_atomic
from roles.host.programs.ggml import check_backend
from roles.host.programs.processes import give_to, give_tree_to, run
from roles.host.programs.uv_tool import ensure_uv, uv_environment


def make_python_env(request: dict[str, Any], folder: Path) -> None:
    """Make it in place. It may be moved: its scripts look for Python beside themselves."""
    recipe, title, builder = request["recipe"], request["title"], request["build_user"]
    uv = ensure_uv(request["uv"]) / "bin" / "uv"
    requirements, build_requirements = folder / "requirements.txt", folder / "build-requirements.txt"
    write_atomic(requirements, recipe["requirements"].encode(), 0o644)
    write_atomic(build_requirements, recipe["build_requirements"].encode(), 0o644)
    give_to(builder, folder)
    environment = {**uv_environment(request), **recipe["environment"]}
    packages = recipe["requirements"].count("\n--") + sum(
        1 for line in recipe["requirements"].splitlines() if line and line[0].isalnum()
    )
    say(f"{title}: installing {packages} locked packages")
    last = [""]

    def note(line: str) -> None:
        last[0] = line[:80]

    python = folder / "bin" / "python"
    run(
        [str(uv), "venv", "--quiet", "--allow-existing", "--relocatable", "--python", "/usr/bin/python3", str(folder)],
        what=f"{title}: making its environment",
        user=builder,
        environment=environment,
    )
    with Progress(title, lambda: last[0]):
        run(
            [
                str(uv), "pip", "install", "--python", str(python), "--require-hashes", "--compile-bytecode",
                "--build-constraints", str(build_requirements), *recipe["indexes"],
                # The lock is the whole of it. Asked again, uv would want what an override left out of it.
                "--no-deps", "-r", str(requirements),
            ],
            what=f"{title}: installing its packages",
            user=builder,
            environment=environment,
            on_line=note,
        )  # fmt: skip
        run([str(python), "-I", *recipe["check"]], what=f"{title}: a first try", user=builder, environment=environment)
    # uv's own: a line of code that every Python of the environment would run, for the sake of a long gone distutils.
    for left in folder.glob("lib/python3.*/site-packages/_virtualenv.*"):
        left.unlink()
    check_backend(recipe, folder, title, builder)
    # uv keeps every build of a source package, some 200 MB each for llama-cpp-python.
    prune = [str(uv), "cache", "prune", "--quiet"]
    run(prune, what=f"{title}: tidying uv's cache", user=builder, environment=environment)
    give_tree_to("root" if builder else None, folder)
