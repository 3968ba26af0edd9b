"""Options of Ollama. Options for one of Ollama's variables have its name without `OLLAMA_`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from roles.options import GgufSource, Many, ModelName, Name, Options, Port, Provider, Seconds, Sha256, TextFile, Url

Parameter = str | int | float | bool | Many[str]


class OllamaRelease(Options):
    """A release of Ollama: its archive for Linux. The vendor's install script is never run."""

    version: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)+(-rc[0-9]+)?$")]
    """Exact version, without `v`."""
    machine: Literal["x86_64", "aarch64"] = "x86_64"
    """The host's processor, as printed by `uname -m`."""
    sha256: Sha256 | None = None
    """Digest of the archive; none = as in the release's own list of digests when it is fetched."""
    rocm: bool = False
    """Install the add-on for AMD cards too."""
    rocm_sha256: Sha256 | None = None
    """Digest of the add-on's archive; none = likewise."""
    url: Url | None = None
    """Folder of the archives; none = the vendor's page of that release."""
    suffix: Literal[".tar.zst", ".tgz"] = ".tar.zst"
    """Format of the archives; releases before 0.14 are `.tgz`."""

    @model_validator(mode="after")
    def _add_on_fits(self) -> OllamaRelease:
        if self.rocm and self.machine != "x86_64":
            raise ValueError("`rocm` is there for x86_64 only; remove it")
        if self.rocm_sha256 and not self.rocm:
            raise ValueError("`rocm_sha256` is given without `rocm`; add `rocm=True`, or remove it")
        return self

    @property
    def archives(self) -> tuple[tuple[str, str | None], ...]:
        """Address and digest of each archive."""
        folder = self.url or f"https://github.com/ollama/ollama/releases/download/v{self.version}"
        name = f"{folder.rstrip('/')}/ollama-linux-{'amd64' if self.machine == 'x86_64' else 'arm64'}"
        found = [(f"{name}{self.suffix}", self.sha256)]
        if self.rocm:
            found.append((f"{name}-rocm{self.suffix}", self.rocm_sha256))
        return tuple(found)


class OllamaModel(Options):
    """A model on an Ollama server: pulled from a registry, or made from a GGUF file."""

    name: ModelName
    """Name in Ollama's spelling. A registry other than the vendor's is its prefix: `hub.lan:5000/team/name:tag`."""
    digest: Sha256 | None = None
    """Digest of the model, as `/api/tags` shows it; none = whatever the name refers to when it is first pulled."""
    insecure: bool = False
    """The registry speaks plain HTTP."""
    gguf: GgufSource | None = None
    """The GGUF file to make it from; none = it is pulled."""
    template: TextFile | None = None
    """Prompt template (Go's text/template) of a model that is made; none = the one in the GGUF file."""
    system: str | None = None
    """System message of a model that is made."""
    parameters: Mapping[str, Parameter] = Field(default_factory=dict)
    """Parameters of a model that is made, as in a Modelfile: `{"temperature": 0.2, "stop": ["</s>"]}`."""
    preload: bool = False
    """Load it into memory as soon as the server is up, also after a reboot."""

    @model_validator(mode="after")
    def _pulled_or_made(self) -> OllamaModel:
        made = [option for option in ("template", "system", "parameters") if getattr(self, option)]
        if made and self.gguf is None:
            raise ValueError(f"`{made[0]}` is for a model that is made from a file; give `gguf` too, or remove it")
        if self.gguf is not None and (self.digest or self.insecure):
            option = "digest" if self.digest else "insecure"
            raise ValueError(f"`{option}` is for a model that is pulled; remove it, or remove `gguf`")
        return self


class Ollama(Provider):
    """An Ollama server and its models."""

    name: Name = "ollama"
    """Name of this instance."""
    port: Port = 11434
    """TCP port to listen on."""
    release: OllamaRelease
    """The Ollama to run."""
    models: Annotated[Many[OllamaModel | ModelName], Field(min_length=1)]
    """The models to serve: by name, or as `OllamaModel` with further options."""
    keep_alive: Annotated[str, Field(pattern=r"^(-1|[0-9]+[smh])$")] = "5m"
    """How long a model stays loaded after its last request; -1 = forever."""
    num_parallel: Annotated[int, Field(ge=1)] | None = None
    """Requests that one model answers at the same time; none = Ollama's choice."""
    max_loaded_models: Annotated[int, Field(ge=1)] | None = None
    """Most models loaded at the same time; none = Ollama's choice."""
    max_queue: Annotated[int, Field(ge=1)] = 512
    """Most requests in the queue; further ones are refused with 503."""
    context_length: Annotated[int, Field(ge=1)] | None = None
    """Tokens of context unless a request sets another number; none = Ollama's choice."""
    flash_attention: bool | None = None
    """Whether to use flash attention; none = Ollama's choice."""
    kv_cache_type: Literal["f16", "q8_0", "q4_0"] | None = None
    """Type of the KV cache; other than `f16` needs `flash_attention`. None = Ollama's choice."""
    origins: Many[str] = ()
    """Web origins, besides those of this host, that may call it from a browser."""
    start_timeout: Seconds = 60
    """Seconds that it may take from start to its first answer."""
    load_timeout: Seconds = 300
    """Seconds that pulling, making or loading a model may take without any progress."""

    @field_validator("models")
    @classmethod
    def _each_once(cls, models: Many[OllamaModel | ModelName]) -> Many[OllamaModel | ModelName]:
        names = [model if isinstance(model, str) else model.name for model in models]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'model "{name}" is there twice; remove one')
        return models

    @property
    def declared(self) -> tuple[OllamaModel, ...]:
        return tuple(OllamaModel(name=model) if isinstance(model, str) else model for model in self.models)

    def served(self) -> tuple[ModelName, ...]:
        return tuple(model.name for model in self.declared)
