"""A Python environment from a hash-locked requirements file, extras kept, bytecode compiled."""

from __future__ import annotations

from pathlib import Path

from roles.contract.recipes import PythonEnvRecipe
from roles.contract.requests import MakeInstall
from roles.host.programs.console import Progress, say
from roles.host.programs.files import write_atomic
from roles.host.programs.installers.cuda_toolkit import complete_cuda
from roles.host.programs.installers.ggml import check_backend
from roles.host.programs.installers.handover import give, take
from roles.host.programs.installers.uv_tool import ensure_uv, uv_environment
from roles.host.programs.processes import LONGEST_TRY, run


def make_python_env(recipe: PythonEnvRecipe, request: MakeInstall, folder: Path) -> None:
    """Make it in place. It can be moved: its scripts look for Python beside themselves."""
    title, builder = request.title, request.build_user
    uv = ensure_uv(request) / "bin" / "uv"
    requirements, build_requirements = folder / "requirements.txt", folder / "build-requirements.txt"
    write_atomic(requirements, recipe.requirements.encode(), 0o644)
    write_atomic(build_requirements, recipe.build_requirements.encode(), 0o644)
    give(builder, folder)
    cache = Path(request.cache, "uv")
    environment = {**uv_environment(request), **recipe.environment}
    packages = recipe.requirements.count("\n--") + sum(
        1 for line in recipe.requirements.splitlines() if line and line[0].isalnum()
    )
    say(f"{title}: installing {packages} locked packages")
    python = folder / "bin" / "python"
    run(
        [str(uv), "venv", "--quiet", "--allow-existing", "--relocatable", "--python", "/usr/bin/python3", str(folder)],
        what=f"{title}: making its environment",
        user=builder,
        writable=[folder, cache],
        environment=environment,
    )
    with Progress(title) as progress:
        run(
            [
                str(uv), "pip", "install", "--python", str(python), "--require-hashes", "--compile-bytecode",
                "--build-constraints", str(build_requirements), *recipe.indexes,
                # The lock is complete. Resolving again, uv would want what an override left out.
                "--no-deps", "-r", str(requirements),
            ],
            what=f"{title}: installing its packages",
            user=builder,
            writable=[folder, cache],
            network=True,
            environment=environment,
            on_line=progress.note,
        )  # fmt: skip
    # uv's own: a line of code that every Python of the environment would run, for the obsolete distutils.
    run(
        ["/usr/bin/find", str(folder), "-name", "_virtualenv.*", "-delete"],
        what=f"{title}: removing what every start would run",
        user=builder,
        writable=[folder],
    )
    # uv keeps every build of a source package, some 200 MB each for llama-cpp-python.
    prune, tidying = [str(uv), "cache", "prune", "--quiet"], f"{title}: tidying uv's cache"
    run(prune, what=tidying, user=builder, writable=[cache], environment=environment)
    if recipe.toolkit == "cuda":
        complete_cuda(folder, title, builder)
    take(builder, folder, title)
    with Progress(title, lambda: "a first try"):
        run(
            [str(python), "-I", *recipe.check],
            what=f"{title}: a first try",
            user=builder,
            devices=recipe.backend is not None,
            environment=environment,
            longest=LONGEST_TRY,
        )
    check_backend(recipe.backend, folder, title, builder)
