"""Making models of uploaded GGUF files, or of other models."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from .chat_templates import is_chatml
from .errors import ApiError
from .gguf import Gguf, NotGguf, read_gguf
from .go_formats import encode
from .models import CHATML, CHATML_STOPS
from .names import Name, parse_name
from .store import Layer, Store, read_json

_CHUNK = 1 << 20
_PADDING = b"\0" * 32
_ARCHITECTURES = {
    "bert", "gemma", "gemma2", "gemma3", "gemma4", "gpt-oss", "granite", "llama", "llama4", "mistral3", "nomic-bert",
    "phi2", "phi3", "qwen2", "qwen2moe", "qwen2vl", "qwen3", "qwen3moe", "qwen3vl",
}  # fmt: skip
"""Those of usual models: llama.cpp knows over a hundred."""
_NOT_VALID = "failed to validate GGUF with llama-quantize without compatibility patches"
_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_OPENS = ("range", "if", "with", "block", "define")


def create_request_problem(name: Name, request: dict[str, Any]) -> str | None:
    """What is refused before anything is done."""
    for path, digest in {**request.get("files", {}), **request.get("adapters", {})}.items():
        if posixpath.isabs(path) or posixpath.normpath(path) != path or path.startswith(".."):
            return "file path must be relative"
        if not digest:
            return "invalid digest format"
    return None if name.valid else "invalid model name"


def create(store: Store, name: Name, request: dict[str, Any], *, prune: bool) -> Generator[dict[str, Any], None, None]:
    """Write the model; yields the lines of progress."""
    if request.get("from"):
        layers, described = _layers_of_model(store, parse_name(request["from"]))
    elif request.get("files"):
        layers, described = yield from _layers_of_files(store, request["files"])
    else:
        raise ApiError(400, "neither 'from' or 'files' was specified")
    if request.get("quantize") and described["file_type"] not in ("F32", "F16", "BF16"):
        raise ApiError(500, "quantization is only supported for F16, BF16 and F32 models")
    if request.get("quantize"):
        raise ApiError(500, "this stand-in cannot quantize")
    if problem := _template_problem(request.get("template") or ""):
        raise ApiError(400, f"template error: {problem}")
    for kind in ("template", "system"):
        if request.get(kind):
            layers = [*_without(store, layers, kind), store.add_layer(kind, [request[kind].encode()])]
    licenses = request.get("license") or []
    for text in [licenses] if isinstance(licenses, str) else licenses:
        layers.append(store.add_layer("license", [text.encode()]))
    layers = _with_parameters(store, layers, request.get("parameters", {}))
    config = store.add_layer("config", [(encode(described) + "\n").encode()])
    for layer in layers:
        yield {"status": layer.status}
    yield {"status": "writing manifest"}
    try:
        replaced = {layer.digest for layer in store.manifest(name).all_layers}
    except (FileNotFoundError, ApiError):
        replaced = set()
    store.write_manifest(name, config, layers)
    if prune:
        store.remove_unused(replaced)
    yield {"status": "success"}


def _template_problem(text: str) -> str | None:
    """What Go says of a template whose actions do not pair up."""
    if text.count("{{") > len(_ACTION.findall(text)):
        return "template: :1: unclosed action"
    depth = 0
    for action in _ACTION.findall(text):
        word = action.partition(" ")[0]
        depth += 1 if word in _OPENS else -1 if word == "end" else 0
        if depth < 0:
            return "template: :1: unexpected {{end}}"
    return "template: :1: unexpected EOF" if depth else None


def _layers_of_model(store: Store, source: Name) -> tuple[list[Layer], dict[str, Any]]:
    source = source.in_the_case_of(store.names())
    try:
        manifest = store.manifest(source)
    except FileNotFoundError as error:
        raise ApiError(500, f"this stand-in creates from models that are here, and {source.shortest} is not") from error
    layers = [store.reuse_layer(layer, source.shortest) for layer in manifest.layers]
    return layers, read_json(store.blob(manifest.config.digest))


def _layers_of_files(
    store: Store, files: dict[str, str]
) -> Generator[dict[str, Any], None, tuple[list[Layer], dict[str, Any]]]:
    """Yields progress, returns the layers and the model's description."""
    sources: list[tuple[Path, Gguf]] = []
    for digest in files.values():
        yield {"status": "parsing GGUF"}
        path = store.blob(digest)
        try:
            sources.append((path, read_gguf(path)))
        except FileNotFoundError as error:
            raise ApiError(500, f"open {path}: no such file or directory") from error
        except NotGguf as error:
            raise ApiError(400, str(error)) from error
    layers = []
    for path, gguf in sources:
        if gguf.architecture not in _ARCHITECTURES:
            # The real server's llama-quantize tells the cause to the journal alone.
            cause = f"llama_model_quantize: failed to quantize: unknown model architecture: '{gguf.architecture}'"
            print(cause, file=sys.stderr, flush=True)
            raise ApiError(500, f"{_NOT_VALID}: llama-quantize failed: exit status 1")
        yield {"status": "verifying conversion"}
        layers.append(store.add_layer("model", _rewritten(path)))
    for _, gguf in sources:
        if is_chatml(str(gguf.metadata.get("tokenizer.chat_template", ""))):
            layer = store.add_layer("template", [CHATML.encode()])
            layers.append(Layer("template", layer.digest, layer.size, status="using autodetected template chatml"))
            stops = (encode({"stop": CHATML_STOPS}) + "\n").encode()
            layers.append(store.add_layer("params", [stops]))
    gguf = sources[0][1]
    described = {
        "model_format": "gguf",
        "model_family": gguf.architecture,
        "model_families": [gguf.architecture for _, gguf in sources],
        "model_type": _human_number(gguf.parameter_count),
        # What the real server finds in a file that llama-quantize has copied.
        "file_type": "unknown",
        "architecture": "amd64",
        "os": "linux",
    }
    return layers, described


def _rewritten(path: Path) -> Iterator[bytes]:
    """The file with a few bytes at its end, which readers of GGUF do not look at: see the package's docstring."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
    yield _PADDING


def _with_parameters(store: Store, layers: list[Layer], given: dict[str, Any]) -> list[Layer]:
    merged = dict(given)
    for layer in layers:
        if layer.type == "params":
            merged = {**read_json(store.blob(layer.digest)), **merged}
    if not merged:
        return layers
    layers = _without(store, layers, "params")
    content = encode(dict(sorted(merged.items()))) + "\n"
    return [*layers, store.add_layer("params", [content.encode()])]


def _without(store: Store, layers: list[Layer], kind: str) -> list[Layer]:
    """Those that are replaced go from the disk too, unless another model has them."""
    store.remove_unused({layer.digest for layer in layers if layer.type == kind})
    return [layer for layer in layers if layer.type != kind]


def _human_number(count: int) -> str:
    for size, unit, places in ((10**9, "B", 1), (10**6, "M", 2), (10**3, "K", 0)):
        if count >= size:
            return f"{count // size}{unit}" if count % size == 0 else f"{count / size:.{places}f}{unit}"
    return str(count)
