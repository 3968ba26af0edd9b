"""A model: what its manifest, its layers and its GGUF file say together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .chat_templates import capabilities_of
from .gguf import Gguf, NotGguf, read_gguf
from .go_formats import timestamp
from .names import Name
from .store import Manifest, Store, read_json

CHATML = "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
CHATML_STOPS = ["<|im_start|>", "<|im_end|>"]
_NO_TEMPLATE = "{{ .Prompt }}"
_HIDDEN = {"general.name", "tokenizer.chat_template"}


@dataclass(frozen=True)
class Model:
    manifest: Manifest
    config: dict[str, Any]
    file: Path
    template_layer: str | None
    system: str
    license: list[str]
    options: dict[str, Any]

    @property
    def name(self) -> Name:
        return self.manifest.name

    @cached_property
    def gguf(self) -> Gguf:
        """Raises `FileNotFoundError` or `NotGguf`."""
        return read_gguf(self.file)

    @property
    def template(self) -> str:
        """Of Go's."""
        return _NO_TEMPLATE if self.template_layer is None else self.template_layer

    @property
    def _chat_template(self) -> str:
        return str(self.gguf.metadata.get("tokenizer.chat_template", ""))

    @property
    def chats_natively(self) -> bool:
        """Whether the child renders the chat template of the file: where there is no template of Go's, or where the
        file's can do more."""
        chat_template = self._chat_template
        return bool(chat_template) and (self.template_layer is None or bool(capabilities_of(chat_template)))

    @property
    def capabilities(self) -> list[str]:
        by_template = capabilities_of(self._chat_template) if self.chats_natively else []
        return [*by_template, "embedding" if self.gguf.embeds else "completion"]

    @property
    def shown_template(self) -> str:
        return self._chat_template if self.chats_natively else self.template

    @property
    def trained_context(self) -> int:
        return int(self.gguf.of_architecture("context_length") or 0)

    @property
    def parent(self) -> str:
        layer = self.manifest.layer("model")
        return layer.origin if layer else ""

    def details(self) -> dict[str, Any]:
        return {
            "parent_model": self.parent,
            "format": self.config.get("model_format", ""),
            "family": self.config.get("model_family", ""),
            "families": self.config.get("model_families"),
            "parameter_size": self.config.get("model_type", ""),
            "quantization_level": self.config.get("file_type", ""),
        }


def load_model(store: Store, name: Name) -> Model:
    """Raises `FileNotFoundError` when there is no such model, `ApiError` when its manifest is damaged."""
    manifest = store.manifest(name)

    def texts(kind: str) -> list[str]:
        return [store.blob(layer.digest).read_text() for layer in manifest.layers if layer.type == kind]

    weights, params = manifest.layer("model"), manifest.layer("params")
    return Model(
        manifest,
        read_json(store.blob(manifest.config.digest)) if manifest.config.digest else {},
        store.blob(weights.digest) if weights else Path("/nonexistent"),
        next(iter(texts("template")), None),
        next(iter(texts("system")), ""),
        texts("license"),
        read_json(store.blob(params.digest)) if params else {},
    )


def listed(store: Store) -> list[dict[str, Any]]:
    """`/api/tags`: the newest first."""
    found = []
    for manifest in store.manifests():
        try:
            model = load_model(store, manifest.name)
        except (OSError, ValueError):
            continue
        details, capabilities = model.details(), []
        try:
            details["context_length"] = model.trained_context
            details["embedding_length"] = model.gguf.of_architecture("embedding_length")
            capabilities = model.capabilities
        except (FileNotFoundError, NotGguf):
            pass  # still listed: its manifest is there
        shown = {
            "name": manifest.name.shortest,
            "model": manifest.name.shortest,
            "modified_at": timestamp(manifest.modified, local=True),
            "size": manifest.size,
            "digest": manifest.digest,
            "details": details,
            "capabilities": capabilities,
        }
        found.append((manifest.modified // 10**9, shown))
    return [shown for _, shown in sorted(found, key=lambda item: -item[0])]


def shown(model: Model, *, verbose: bool) -> dict[str, Any]:
    """`/api/show`. Raises `FileNotFoundError`."""
    info = {key: value for key, value in model.gguf.metadata.items() if key not in _HIDDEN}
    info["general.parameter_count"] = model.gguf.parameter_count
    if not verbose:
        info = {key: None if isinstance(value, list) else value for key, value in info.items()}
    tensors = [{"name": tensor.name, "type": tensor.type, "shape": list(tensor.shape)} for tensor in model.gguf.tensors]
    parameters = [
        f"{key:<30} {json.dumps(value, ensure_ascii=False)}"
        for key, value in sorted(_parameters(model), key=lambda pair: pair[0])
    ]
    return {
        **({"license": "\n".join(model.license)} if model.license else {}),
        "modelfile": _modelfile(model),
        **({"parameters": "\n".join(parameters)} if parameters else {}),
        "template": model.shown_template,
        **({"system": model.system} if model.system else {}),
        "details": model.details(),
        "model_info": dict(sorted(info.items())),
        "tensors": tensors,
        "capabilities": model.capabilities,
        "modified_at": timestamp(model.manifest.modified, local=True),
    }


def _parameters(model: Model) -> Iterator[tuple[str, Any]]:
    """One for each value, also of a list."""
    for key, given in model.options.items():
        for value in given if isinstance(given, list) else [given]:
            yield key, value


def _modelfile(model: Model) -> str:
    lines = [
        '# Modelfile generated by "ollama show"',
        "# To build a new Modelfile based on this, replace FROM with:",
        f"# FROM {model.name.shortest}",
        "",
        f"FROM {model.file}",
        f"TEMPLATE {_quoted(model.template)}",
        *([f"SYSTEM {_quoted(model.system)}"] if model.system else []),
        *(f"PARAMETER {key} {_quoted(str(value))}" for key, value in _parameters(model)),
        *(f"LICENSE {_quoted(text)}" for text in model.license),
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    if "\n" not in text and text == text.strip():
        return text
    return f'"""{text}"""' if '"' in text else f'"{text}"'
