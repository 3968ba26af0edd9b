"""Options of Ollama. Options for one of Ollama's variables have its name without `OLLAMA_`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from roles.ollama.parameters import check_parameters
from roles.options import (
    OURS,
    GgufSource,
    HostFile,
    HubFile,
    Many,
    ModelName,
    ModelServer,
    Name,
    Options,
    Port,
    Seconds,
    Sha256,
    TextFile,
    Url,
    is_address,
    quoted,
    spelled,
)

ReleaseVersion = Annotated[
    str, spelled(r"[0-9]+(\.[0-9]+)+(-rc[0-9]+)?", 'exact version without "v", such as "0.32.15"')
]
_HOURS = re.compile(r"([0-9]*\.?[0-9]*)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS: Mapping[str, float] = {"s": 1, "m": 60, "h": 3600}
_LONGEST_SECONDS = float(2**63 // 10**9)


def _is_within_go(text: str) -> str:
    """Go counts nanoseconds in 64 bits; Ollama takes its default for what is longer."""
    if sum(float(number) * _SECONDS.get(unit, 0) for number, unit in _HOURS.findall(text)) >= _LONGEST_SECONDS:
        raise ValueError(f'{quoted(text)} is longer than 292 years, which Ollama cannot count; give "-1" for ever')
    return text


KeepAlive = Annotated[
    str,
    spelled(
        r"[-+]?[0-9]{1,9}|[-+]?(([0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9})(ns|us|µs|μs|ms|s|m|h))+",
        'time as Ollama reads it: "30m", "1h30m", "90s", a number of seconds, "0" (unload at once) or "-1" (never)',
    ),
    AfterValidator(_is_within_go),
]
"""Source: `KeepAlive` in Ollama's envconfig: a duration as Go reads it, or a whole number of seconds."""

Parameter = str | int | float | bool | Many[str]
_PLAIN = (str, int, float, bool)


class OllamaRelease(Options):
    """A release of Ollama: its archive for Linux. The vendor's install script is never run."""

    version: ReleaseVersion = Field(examples=['version="0.32.15"'])
    """Exact version, without `v`."""
    machine: Literal["x86_64", "aarch64"] = Field("x86_64", examples=['machine="aarch64"'])
    """The host's processor, as printed by `uname -m`."""
    sha256: Sha256 | None = Field(
        None, examples=['sha256="50539c5fe9bf85887733355098dcdb266b433cb8c73fa180713417e9ed6e42bb"']
    )
    """Digest of the archive; none = as in the release's own list of digests when it is fetched."""
    rocm: bool = Field(False, examples=["rocm=True"])
    """Install the add-on for AMD cards too."""
    rocm_sha256: Sha256 | None = Field(
        None, examples=['rocm_sha256="832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"']
    )
    """Digest of the add-on's archive; none = likewise."""
    url: Url | None = Field(None, examples=['url="https://files.example.com/ollama/v0.32.15"'])
    """Folder of the archives; none = the vendor's page of that release."""
    suffix: Literal[".tar.zst", ".tgz"] = Field(".tar.zst", examples=['suffix=".tgz"'])
    """Format of the archives; releases before 0.14 are `.tgz`."""

    @model_validator(mode="after")
    def _add_on_fits(self) -> OllamaRelease:
        if self.rocm and self.machine != "x86_64":
            raise ValueError("`rocm` is there for x86_64 only; remove it")
        if self.rocm_sha256 and not self.rocm:
            raise ValueError("`rocm_sha256` is given without `rocm`; add `rocm=True`, or remove it")
        if self.url and self.url.rstrip("/").endswith((".tgz", ".tar.zst")):
            raise ValueError("`url` is the address of an archive; give the folder that it is in")
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

    name: ModelName = Field(examples=['name="llama3.1:latest"'])
    """Name in Ollama's spelling. A registry other than the vendor's is its prefix: `hub.lan:5000/team/name:tag`."""
    digest: Sha256 | None = Field(
        None, examples=['digest="46e0c10c039e019119339687c3c1757cc81b9da49709a3b3924863ba87ca666e"']
    )
    """Digest of the model, as `/api/tags` shows it; none = whatever the name refers to when it is first pulled."""
    insecure: bool = Field(False, examples=["insecure=True"])
    """The registry speaks plain HTTP."""
    gguf: GgufSource | None = Field(
        None,
        examples=[
            'gguf=HubFile(repository="Qwen/Qwen2.5-1.5B-Instruct-GGUF", '
            'revision="91cad51170dc346986eccefdc2dd33a9da36ead9", file="qwen2.5-1.5b-instruct-q4_k_m.gguf")'
        ],
    )
    """The GGUF file to make it from; none = it is pulled."""
    template: TextFile | None = Field(None, examples=['template=TextFile("~/ai-backend/prompt-template.txt")'])
    """Prompt template (Go's text/template) of a model that is made; none = the one in the GGUF file."""
    system: str | None = Field(None, examples=['system="Answer briefly."'])
    """System message of a model that is made."""
    parameters: Mapping[str, Parameter] = Field(
        default_factory=dict, examples=['parameters={"temperature": 0.2, "stop": ["</s>"]}']
    )
    """Parameters of a model that is made, as in a Modelfile: `{"temperature": 0.2, "stop": ["</s>"]}`. What
    Ollama would ignore or could not use is refused."""
    preload: bool = Field(False, examples=["preload=True"])
    """Load it into memory as soon as the server is up, also after a reboot."""

    @field_validator("name")
    @classmethod
    def _is_listed_by_it(cls, name: str) -> str:
        if is_address(name):
            raise ValueError(
                f"{quoted(name)} is an address; give the name without its scheme, as `ollama list` shows it"
            )
        if name.rpartition("/")[2].count(":") > 1:
            raise ValueError(f'{quoted(name)} has two tags; give one, such as "llama3.1:latest"')
        return name

    @field_validator("parameters")
    @classmethod
    def _mean_something(cls, parameters: Mapping[str, Parameter]) -> Mapping[str, Parameter]:
        plain = {key: value if isinstance(value, _PLAIN) else tuple(value) for key, value in parameters.items()}
        check_parameters(plain)
        return parameters

    @model_validator(mode="after")
    def _pulled_or_made(self) -> OllamaModel:
        made = [option for option in ("template", "system", "parameters") if getattr(self, option)]
        if made and self.gguf is None:
            raise ValueError(f"`{made[0]}` is for a model that is made from a file; give `gguf` too, or remove it")
        if isinstance(self.gguf, HubFile | HostFile) and len(self.gguf.files) > 1:
            raise ValueError(
                f"`gguf` is split into {len(self.gguf.files)} files, and Ollama makes a model of one; make one of them "
                "with `llama-gguf-split --merge`, or serve them with a LlamaServer"
            )
        if self.gguf is not None and (self.digest or self.insecure):
            option = "digest" if self.digest else "insecure"
            raise ValueError(f"`{option}` is for a model that is pulled; remove it, or remove `gguf`")
        return self


class Ollama(ModelServer):
    """An Ollama server and its models."""

    held_variables: ClassVar[Mapping[str, str]] = {
        "OLLAMA_CONTEXT_LENGTH": "context_length",
        "OLLAMA_FLASH_ATTENTION": "flash_attention",
        "OLLAMA_HOST": "bind",
        "OLLAMA_KEEP_ALIVE": "keep_alive",
        "OLLAMA_KV_CACHE_TYPE": "kv_cache_type",
        "OLLAMA_MAX_LOADED_MODELS": "max_loaded_models",
        "OLLAMA_MAX_QUEUE": "max_queue",
        "OLLAMA_MODELS": OURS,
        "OLLAMA_NO_CLOUD": OURS,
        "OLLAMA_NUM_PARALLEL": "num_parallel",
        "OLLAMA_ORIGINS": "origins",
    }

    name: Name = Field("ollama", examples=['name="ollama-2"'])
    """Name of this instance."""
    port: Port = Field(11434, examples=["port=11435"])
    """TCP port to listen on."""
    release: OllamaRelease = Field(examples=['release=OllamaRelease(version="0.32.15")'])
    """The Ollama to run."""
    models: Annotated[Many[OllamaModel | ModelName], Field(min_length=1)] = Field(
        examples=['models=["llama3.1:latest", OllamaModel(name="qwen2.5-coder:7b", preload=True)]']
    )
    """The models to serve: by name, or as `OllamaModel` with further options."""
    keep_alive: KeepAlive = Field("5m", examples=['keep_alive="30m"'])
    """How long a model stays loaded after its last request: a time such as `90s`, `30m` or `1h30m`; a number alone is
    of seconds; `0` = it is unloaded at once, and below zero (`-1`) = it stays."""
    num_parallel: Annotated[int, Field(ge=1)] | None = Field(None, examples=["num_parallel=2"])
    """Requests that one model answers at the same time; none = Ollama's choice."""
    max_loaded_models: Annotated[int, Field(ge=1)] | None = Field(None, examples=["max_loaded_models=2"])
    """Most models loaded at the same time; none = Ollama's choice."""
    max_queue: Annotated[int, Field(ge=1)] = Field(512, examples=["max_queue=64"])
    """Most requests in the queue; further ones are refused with 503."""
    context_length: Annotated[int, Field(ge=1)] | None = Field(None, examples=["context_length=8192"])
    """Tokens of context unless a request sets another number; none = Ollama's choice."""
    flash_attention: bool | None = Field(None, examples=["flash_attention=True"])
    """Whether to use flash attention; none = Ollama's choice."""
    kv_cache_type: Literal["f16", "q8_0", "q4_0"] | None = Field(None, examples=['kv_cache_type="q8_0"'])
    """Type of the KV cache; other than `f16` needs `flash_attention`. None = Ollama's choice."""
    origins: Many[str] = Field((), examples=['origins=["https://chat.example.com"]'])
    """Web origins, besides those of this host, that may call it from a browser."""
    start_timeout: Seconds = Field(60, examples=["start_timeout=120"])
    """Seconds that it may take from start to its first answer."""
    load_timeout: Seconds = Field(300, examples=["load_timeout=900"])
    """Seconds that pulling, making or loading a model may take without any progress."""

    @model_validator(mode="after")
    def _vendor_has_the_format(self) -> Ollama:
        release = self.release
        first, second = (int(part) for part in release.version.split("-")[0].split(".")[:2])
        suffix = ".tgz" if (first, second) < (0, 14) else ".tar.zst"
        if release.url is None and release.suffix != suffix:
            raise ValueError(
                f'the vendor has release {release.version} as "{suffix}"; give the OllamaRelease '
                f'`suffix="{suffix}"`, or a `url` of yours'
            )
        return self

    @model_validator(mode="after")
    def _cache_can_be_quantized(self) -> Ollama:
        if self.kv_cache_type not in (None, "f16") and self.flash_attention is False:
            raise ValueError(
                f'`kv_cache_type="{self.kv_cache_type}"` needs flash attention, without which Ollama takes "f16"; '
                "remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _release_is_for_the_cards(self) -> Ollama:
        if self.gpus and self.gpus.vendor == "amd" and not self.release.rocm:
            raise ValueError(
                "`gpus` are of AMD, and the release is without the add-on for them; give the OllamaRelease `rocm=True`"
            )
        return self

    @field_validator("models")
    @classmethod
    def _each_once(cls, models: Many[OllamaModel | ModelName]) -> Many[OllamaModel | ModelName]:
        names = [model if isinstance(model, str) else model.name for model in models]
        tagged = [name if ":" in name.rpartition("/")[2] else f"{name}:latest" for name in names]
        for name in tagged:
            if tagged.count(name) > 1:
                raise ValueError(f'model "{name}" is there twice; remove one')
        return models

    @property
    def declared(self) -> tuple[OllamaModel, ...]:
        return tuple(OllamaModel(name=model) if isinstance(model, str) else model for model in self.models)

    def served(self) -> tuple[ModelName, ...]:
        return tuple(model.name for model in self.declared)
