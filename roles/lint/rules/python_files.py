"""Rules about the Python that a configuration names, as `file.object`: LiteLLM imports it when it starts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path as File
from typing import NamedTuple

from roles.lint.config import REFERENCE, Config
from roles.lint.document import Path, mapping
from roles.lint.rule import Found, rule
from roles.lint.rules.callbacks import loaded_callbacks
from roles.lint.rules.guardrails import all_guardrails, is_python

_STOPS = "LiteLLM does not start"
_GENERAL = (
    "custom_auth",
    "custom_key_generate",
    "custom_key_update",
    "custom_key_policy",
    "custom_sso",
    "custom_ui_sso_sign_in_handler",
    "custom_team_metadata_validate",
)
_REMOTE = ("s3://", "gcs://")
_MOST_BYTES = 1 << 20
_NO_INSTANCE = {"class": _STOPS, "constant": _STOPS, "function": "every request fails"}
"""What stands in `callbacks` instead of an instance → what it comes to."""
_MAKE_NAMES = frozenset({"globals", "exec", "vars", "locals", "__getattr__"})


class _Import(NamedTuple):
    path: Path
    word: str
    is_instance: bool = False
    """Whether it must be an instance of a logger."""


def _imports(config: Config) -> Iterator[_Import]:
    for path, word, is_instance in loaded_callbacks(config):
        yield _Import(path, word, is_instance)
    known = config.known.general_settings
    for key in _GENERAL:
        if key in known:
            yield from _one(("general_settings", key), config.setting("general_settings", key))
    yield from _one(("litellm_settings", "post_call_rules"), config.setting("litellm_settings", "post_call_rules"))
    manager = mapping(config.setting("general_settings", "key_management_settings"))
    if config.setting("general_settings", "key_management_system") == "custom":
        path = ("general_settings", "key_management_settings", "custom_secret_manager")
        yield from _one(path, manager.get("custom_secret_manager"))
    for where, entries, key in (
        (
            ("litellm_settings", "custom_provider_map"),
            config.setting("litellm_settings", "custom_provider_map"),
            "custom_handler",
        ),
        (("mcp_tools",), config.document.value.get("mcp_tools"), "handler"),
    ):
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            yield from _one((*where, index, key), mapping(entry).get(key))
    for guardrail in all_guardrails(config):
        if is_python(guardrail.type):
            yield from _one(guardrail.param("guardrail"), guardrail.type)


def _one(path: Path, word: object) -> Iterator[_Import]:
    if isinstance(word, str) and not word.startswith(REFERENCE):
        yield _Import(path, word)


@rule("error", fix="write `file.object`", source="tried with 1.106.2: Empty module name")
def python_name(config: Config) -> Iterator[Found]:
    """A name of Python without a dot: LiteLLM needs the file and the object in it."""
    for found in _imports(config):
        if "." not in found.word:
            yield Found(found.path, f'"{found.word}" names no object in a file: {_STOPS}')
        elif found.word.startswith("."):
            fix = f'write "{found.word.strip("./").replace("/", ".")}"'
            yield Found(found.path, f"a name of Python cannot begin with a dot: {_STOPS}", fix)


@rule(
    "error",
    fix="put the file beside this configuration",
    source="tried with 1.84.0 and 1.106.2: ImportError at start",
)
def python_file_missing(config: Config) -> Iterator[Found]:
    """A Python file that is named is not beside the configuration (where that is a file on this machine)."""
    folder = _folder(config)
    if folder is None:
        return
    for found in _imports(config):
        module, _, _ = found.word.rpartition(".")
        if not module or found.word.startswith(_REMOTE) or not _is_local(module):
            continue
        first, _, rest = module.partition(".")
        # A path of several parts without its folder here may be a package that is installed.
        is_package = bool(rest) and not (folder / first).is_dir()
        if not is_package and not _exists(_file(folder, module)):
            name = f"{'/'.join(module.split('.'))}.py"
            message = f"there is no {name} beside this file: {_STOPS}, unless a package of that name is installed"
            yield Found(found.path, message)


@rule(
    "warning",
    fix="put its folder beside this configuration, or install it where LiteLLM runs",
    source="tried with 1.106.2: ImportError at start",
)
def python_package_missing(config: Config) -> Iterator[Found]:
    """A Python module of several parts is not beside the configuration: it must be installed."""
    folder = _folder(config)
    for found in _imports(config) if folder else ():
        module, _, _ = found.word.rpartition(".")
        first, _, rest = module.partition(".")
        if rest and folder and _is_local(module) and not (folder / first).is_dir():
            message = f"there is no {'/'.join(module.split('.'))}.py beside this file, and no folder {first}"
            yield Found(found.path, f"{message}: unless a package of that name is installed, {_STOPS}")


@rule("error", fix="correct the file", source="tried with 1.106.2: SyntaxError at start")
def python_file_broken(config: Config) -> Iterator[Found]:
    """A Python file that is named is no Python."""
    folder = _folder(config)
    for found in _imports(config) if folder else ():
        module, _, _ = found.word.rpartition(".")
        line = _broken_line(_file(folder, module)) if folder and module and _is_local(module) else 0
        if line:
            yield Found(found.path, f"{module.split('.')[-1]}.py is no Python (line {line}): {_STOPS}")


def _broken_line(file: File) -> int:
    """The line at which Python cannot read a file; 0 if it can, or there is none."""
    try:
        if file.is_file() and file.stat().st_size <= _MOST_BYTES:
            ast.parse(file.read_bytes())
    except SyntaxError as error:
        return error.lineno or 1
    except (OSError, ValueError, RecursionError, MemoryError):
        return 0
    return 0


@rule(
    "error",
    fix="correct the name",
    source="tried with 1.106.2: AttributeError at start; a class in `callbacks` is refused",
    versions="1.84.0 takes a class in `callbacks`, and never runs it",
)
def python_object_missing(config: Config) -> Iterator[Found]:
    """The Python file does not define the object, or it is a class where an instance is wanted."""
    folder = _folder(config)
    if folder is None:
        return
    for found in _imports(config):
        module, _, name = found.word.rpartition(".")
        if not module or not _is_local(module):
            continue
        defined = _defined(_file(folder, module))
        if defined is None:
            continue
        if name not in defined and "*" not in defined:
            names = ", ".join(sorted(defined)[:5])
            fix = f"it has: {names}" if names else ""
            yield Found(found.path, f'{module.split(".")[-1]}.py has no "{name}": {_STOPS}', fix)
        elif found.is_instance and name in defined and defined[name] in _NO_INSTANCE:
            message = f'"{name}" is a {defined[name]}, and LiteLLM needs an instance: {_NO_INSTANCE[defined[name]]}'
            fix = f"add `handler = {name}()` to the file, and write `{module}.handler`"
            yield Found(found.path, message, fix if defined[name] == "class" else "make it a CustomLogger's method")


def _folder(config: Config) -> File | None:
    """The folder of the configuration; None if it is no file here (text from elsewhere, standard input)."""
    try:
        file = File(config.document.file)
        return file.parent if file.is_file() else None
    except (OSError, ValueError):
        return None


def _is_local(module: str) -> bool:
    """Whether it is looked for beside the file, and is no part of LiteLLM."""
    return module.split(".")[0] != "litellm" and all(part.isidentifier() for part in module.split("."))


def _exists(file: File) -> bool:
    """Whether there is such a module: a file, or a folder that is a package."""
    return file.is_file() or file.with_suffix("").is_dir()


def _file(folder: File, module: str) -> File:
    return folder.joinpath(*module.split(".")).with_suffix(".py")


def _defined(file: File) -> dict[str, str] | None:
    """A file's own names → what each is; `*` = more may come from elsewhere. None = not readable."""
    try:
        if not file.is_file() or file.stat().st_size > _MOST_BYTES:
            return None
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names: dict[str, str] = {}
    for node in _statements(tree.body):
        match node:
            case ast.ClassDef(name=name):
                names[name] = "class"
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names[name] = "function"
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names.update({(alias.asname or alias.name).split(".")[0]: "other" for alias in aliases})
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                stored = (part for part in ast.walk(node) if isinstance(part, ast.Name))
                what = "constant" if isinstance(node.value, ast.Constant) else "other"
                names.update({part.id: what for part in stored if isinstance(part.ctx, ast.Store)})
            case ast.For() | ast.While() | ast.Match():
                names["*"] = "other"
    if any(isinstance(node, ast.Name) and node.id in _MAKE_NAMES for node in ast.walk(tree)):
        names["*"] = "other"
    return names


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, also those in `if`, `try` and `with`."""
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            handlers = [statement for handler in getattr(node, "handlers", ()) for statement in handler.body]
            parts = (node.body, getattr(node, "orelse", []), getattr(node, "finalbody", []), handlers)
            for part in parts:
                yield from _statements(part)
