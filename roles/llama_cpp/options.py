"""Options of llama.cpp's two servers: the native one and the Python one.

llama-server's options have the same names here, except a few with plainer names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from roles.llama_cpp.builds import (
    OTHER_BUILD,
    LlamaCppBuild,
    LlamaCppRelease,
    PythonWheel,
    check_cards,
    device_names,
    implied_cards,
)
from roles.options import GgufSource, Gpus, KeyedProvider, Many, ModelName, Options, PythonSdist, Seconds, TextFile

PYTHON_VERSION = "0.3.36"
"""Version of llama-cpp-python that `locks/` pins. Its bindings fit the llama.cpp tree of the same release only."""

CacheType = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"]
SpecType = Literal[
    "draft-simple", "draft-eagle3", "draft-mtp", "ngram-simple", "ngram-map-k", "ngram-map-k4v", "ngram-mod"
]
Layers = Annotated[int, Field(ge=0)]

_QUANTIZED = ("q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
_HELD_ARGUMENTS = {
    "--api-key": "api_key", "--host": "bind", "--port": "port", "-m": "model", "--model": "model",
    "-a": "served_name", "--alias": "served_name",
}  # fmt: skip
"""Arguments that would undo what the rest of the plan relies on; a key would also show in the process list."""


class LlamaServer(KeyedProvider):
    """`llama-server`, llama.cpp's own HTTP server, for one model."""

    build: LlamaCppBuild | LlamaCppRelease
    """The llama.cpp to run."""
    model: GgufSource
    """The GGUF file to serve."""
    served_name: ModelName
    """The model's name in requests to this server."""
    mmproj: GgufSource | None = None
    """Projector of a model that also accepts images or sound."""
    lora: Many[GgufSource] = ()
    """LoRA adapters to apply."""
    context_size: Annotated[int, Field(ge=0)] = 0
    """Tokens of context over all slots; 0 = as the model was trained."""
    parallel: Annotated[int, Field(ge=1)] = 1
    """Requests to answer at the same time; each gets its share of the context."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Processor threads for generation; none = llama.cpp's choice."""
    threads_batch: Annotated[int, Field(ge=1)] | None = None
    """Processor threads for prompts; none = as `threads`."""
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Tokens of a prompt to process together; none = llama.cpp's choice."""
    ubatch_size: Annotated[int, Field(ge=1)] | None = None
    """Tokens to compute together; limits the length of a text to embed. None = llama.cpp's choice."""
    gpu_layers: Layers | None = None
    """Layers to keep in GPU memory; none = as many as fit."""
    n_cpu_moe: Layers | None = None
    """Layers whose mixture-of-experts weights stay in main memory."""
    device: Many[Annotated[str, Field(pattern=r"^[A-Za-z]+[0-9]+$")]] = ()
    """Devices to use, as `llama-server --list-devices` names them, e.g. `Vulkan0`; none = all that it sees."""
    split_mode: Literal["none", "layer", "row", "tensor"] | None = None
    """How the model is split over several cards; none = by layer."""
    tensor_split: Many[Annotated[float, Field(ge=0)]] = ()
    """Share of the model for each card, e.g. `[3.0, 1.0]`; none = by free memory."""
    main_gpu: Annotated[int, Field(ge=0)] | None = None
    """Number of the card for what is not split; none = the first."""
    flash_attention: Literal["auto", "on", "off"] = "auto"
    """Whether to use flash attention."""
    cache_type_k: CacheType | None = None
    """Type of the keys in the KV cache; none = `f16`."""
    cache_type_v: CacheType | None = None
    """Type of the values in the KV cache; a quantized one needs flash attention. None = `f16`."""
    kv_unified: bool | None = None
    """Whether the slots share one KV cache, so that one may use what the others leave; none = llama.cpp's choice."""
    cache_ram: Annotated[int, Field(ge=-1)] | None = None
    """MiB of main memory for caching prompts; 0 = no such cache, -1 = no limit. None = 8192."""
    context_shift: bool = False
    """Drop the oldest tokens when the context is full, and go on; off: the answer ends there."""
    load_mode: Literal["auto", "none", "mmap", "mlock", "mmap+mlock", "dio"] = "auto"
    """How the model is loaded; with `mlock` it is never swapped out."""
    numa: Literal["distribute", "isolate", "numactl"] | None = None
    """How threads are spread over the memory nodes of a NUMA host; none = not at all."""
    rope_scaling: Literal["none", "linear", "yarn"] | None = None
    """How the context is extended beyond the model's training; none = as the model says."""
    rope_scale: Annotated[float, Field(gt=0)] | None = None
    """Factor of that extension."""
    rope_freq_base: Annotated[float, Field(gt=0)] | None = None
    """Base frequency of the position encoding; none = as the model says."""
    yarn_orig_ctx: Annotated[int, Field(ge=1)] | None = None
    """Tokens of context in the model's training, for YaRN; none = as the model says."""
    embeddings: bool = False
    """Serve embeddings and nothing else; for embedding models."""
    pooling: Literal["none", "mean", "cls", "last", "rank"] | None = None
    """How a text's tokens become one vector; none = as the model says."""
    reranking: bool = False
    """Serve `/v1/rerank`; for reranking models."""
    jinja: bool | None = None
    """Whether the Jinja engine renders the chat template, which tool calls need; none = llama.cpp's choice."""
    chat_template: TextFile | None = None
    """Jinja template to use instead of the model's own."""
    chat_template_kwargs: Mapping[str, JsonValue] = Field(default_factory=dict)
    """Values for the chat template, e.g. `{"enable_thinking": False}`."""
    reasoning_format: Literal["auto", "none", "deepseek", "deepseek-legacy"] = "auto"
    """Where a reasoning model's thoughts go: `none` leaves them in the answer's text."""
    reasoning_budget: Annotated[int, Field(ge=-1)] | None = None
    """Tokens for thinking; 0 = it does not think, -1 and none = no limit."""
    draft_model: GgufSource | None = None
    """Small model of the same vocabulary that drafts tokens for the large one to check."""
    draft_max: Annotated[int, Field(ge=1)] | None = None
    """Most tokens to draft at once; none = llama.cpp's choice."""
    draft_min: Annotated[int, Field(ge=0)] | None = None
    """Fewest tokens for using a draft; none = llama.cpp's choice."""
    draft_gpu_layers: Layers | None = None
    """Layers of the draft model to keep in GPU memory; none = as many as fit."""
    spec_type: SpecType | None = None
    """How tokens are drafted; none = not at all, or `draft-simple` with a `draft_model`."""
    metrics: bool = False
    """Serve Prometheus metrics at `/metrics`."""
    slots: bool = True
    """Serve the state of the slots at `/slots`."""
    extra_arguments: Many[str] = ()
    """Further command line arguments, as llama-server spells them."""
    start_timeout: Seconds = 300
    """Seconds that it may take from start to its first answer; large models load slowly from disk."""

    @model_validator(mode="after")
    def _cards_fit_the_build(self) -> LlamaServer:
        check_cards(self.build.backend, self.gpus)
        of_cards = ("gpu_layers", "n_cpu_moe", "device", "split_mode", "tensor_split", "main_gpu", "draft_gpu_layers")
        given = [option for option in of_cards if getattr(self, option)]
        if given and self.build.backend == "cpu":
            raise ValueError(f"`{given[0]}` is for a GPU build, and this is a CPU build: {OTHER_BUILD}, or remove it")
        return self

    @model_validator(mode="after")
    def _options_fit_together(self) -> LlamaServer:
        drafts = [
            option for option in ("draft_max", "draft_min", "draft_gpu_layers") if getattr(self, option) is not None
        ]
        if drafts and not (self.draft_model or self.spec_type):
            raise ValueError(f"`{drafts[0]}` is given, and nothing drafts; give `draft_model`, or remove it")
        if self.embeddings and self.reranking:
            raise ValueError("`embeddings` and `reranking` exclude each other; declare a server for each")
        if self.cache_type_v in _QUANTIZED and self.flash_attention == "off":
            raise ValueError(
                f'`cache_type_v="{self.cache_type_v}"` needs flash attention; set `flash_attention="on"`, or take "f16"'
            )
        return self

    @field_validator("extra_arguments")
    @classmethod
    def _not_what_options_say(cls, arguments: Sequence[str]) -> Sequence[str]:
        for argument in arguments:
            if option := _HELD_ARGUMENTS.get(argument.split("=", 1)[0]):
                raise ValueError(f"`{argument.split('=', 1)[0]}` is the option `{option}` here; use that")
        return arguments

    @property
    def cards(self) -> Gpus | None:
        return implied_cards(self.build.backend, self.gpus)

    @property
    def expected_devices(self) -> tuple[str, ...]:
        """The devices that it must see when it starts; empty = it needs none."""
        return tuple(self.device) or device_names(self.build.backend, self.cards)

    @property
    def locks_memory(self) -> bool:
        return "mlock" in self.load_mode

    def served(self) -> tuple[ModelName, ...]:
        return (self.served_name,)


class _PythonModelOptions(Options):
    context_size: Annotated[int, Field(ge=0)] = 2048
    """Tokens of context; 0 = as the model was trained."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Processor threads for generation; none = half of the cores."""
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Tokens of a prompt to process together; none = 512."""
    gpu_layers: Annotated[int, Field(ge=-1)] | None = None
    """Layers to keep in GPU memory; -1 and none = all, with a GPU build."""
    tensor_split: Many[Annotated[float, Field(ge=0)]] = ()
    """Share of the model for each card, e.g. `[3.0, 1.0]`; none = by free memory."""
    main_gpu: Annotated[int, Field(ge=0)] | None = None
    """Number of the card for what is not split; none = the first."""
    flash_attention: bool = False
    """Whether to use flash attention."""
    cache_type_k: CacheType | None = None
    """Type of the keys in the KV cache; none = `f16`."""
    cache_type_v: CacheType | None = None
    """Type of the values in the KV cache; a quantized one needs `flash_attention`. None = `f16`."""
    mlock: bool = False
    """Never swap the model out."""
    embedding: bool = False
    """Serve embeddings too; for embedding models."""
    chat_format: str | None = None
    """Name of a chat format of llama-cpp-python; none = the template in the GGUF file."""
    chat_template_kwargs: Mapping[str, JsonValue] = Field(default_factory=dict)
    """Values for the chat template, e.g. `{"enable_thinking": False}`."""
    mmproj: GgufSource | None = None
    """Projector of a model that also accepts images; `chat_format` says how to use it, e.g. `mtmd`."""

    @model_validator(mode="after")
    def _model_options_fit_together(self) -> _PythonModelOptions:
        if self.cache_type_v in _QUANTIZED and not self.flash_attention:
            raise ValueError(
                f'`cache_type_v="{self.cache_type_v}"` needs flash attention; set `flash_attention=True`, or take "f16"'
            )
        if self.mmproj and not self.chat_format:
            raise ValueError('`mmproj` is used by a `chat_format` only; give that too, e.g. "mtmd"')
        return self


class PythonServerModel(_PythonModelOptions):
    """One of several models of a Python server."""

    model: GgufSource
    """The GGUF file to serve."""
    served_name: ModelName
    """The model's name in requests to this server."""


class LlamaCppPython(KeyedProvider, _PythonModelOptions):
    """The OpenAI-compatible server of llama-cpp-python.

    It serves one request at a time. With several `models` only one is in memory: a request for another one loads that
    instead.
    """

    build: LlamaCppBuild | PythonWheel
    """The llama.cpp that it loads: the build that serves natively, or one in a wheel."""
    model: GgufSource | None = None
    """The GGUF file to serve, if it is the only one."""
    served_name: ModelName | None = None
    """The model's name in requests to this server."""
    models: Many[PythonServerModel] = ()
    """Several models, each with its own options, instead of `model`; the first is loaded at the start."""
    start_timeout: Seconds = 300
    """Seconds that it may take from start to its first answer."""

    @model_validator(mode="after")
    def _one_model_or_several(self) -> LlamaCppPython:
        own = {"model", "served_name", *_PythonModelOptions.model_fields}
        given = sorted(own & self.model_fields_set)
        if self.models and given:
            raise ValueError(f"`{given[0]}` is for a single model; give it in `models`, to the PythonServerModel")
        if not self.models and not (self.model and self.served_name):
            missing = "served_name" if self.model else "model"
            raise ValueError(f"`{missing}` is missing; give `model` and `served_name`, or several `models`")
        names = self.served()
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'model "{name}" is there twice; give one of them another `served_name`')
        return self

    @model_validator(mode="after")
    def _cards_fit_the_build(self) -> LlamaCppPython:
        check_cards(self.build.backend, self.gpus)
        for model in self.declared:
            given = [option for option in ("gpu_layers", "tensor_split", "main_gpu") if getattr(model, option)]
            if given and self.build.backend == "cpu":
                raise ValueError(
                    f"`{given[0]}` is for a GPU build, and this is a CPU build: {OTHER_BUILD}, or remove it"
                )
        return self

    @model_validator(mode="after")
    def _libraries_fit_the_bindings(self) -> LlamaCppPython:
        source = self.build.source if isinstance(self.build, LlamaCppBuild) else None
        if isinstance(source, PythonSdist) and source.version != PYTHON_VERSION:
            raise ValueError(
                f"its bindings are those of llama-cpp-python {PYTHON_VERSION} and the build's source is that of "
                f"{source.version}; take the source of {PYTHON_VERSION}, or a PythonWheel"
            )
        return self

    @property
    def declared(self) -> tuple[PythonServerModel, ...]:
        if self.models:
            return tuple(self.models)
        own = {name: getattr(self, name) for name in PythonServerModel.model_fields}
        return (PythonServerModel(**own),)

    @property
    def cards(self) -> Gpus | None:
        return implied_cards(self.build.backend, self.gpus)

    @property
    def locks_memory(self) -> bool:
        return any(model.mlock for model in self.declared)

    def served(self) -> tuple[ModelName, ...]:
        return tuple(model.served_name for model in self.declared)
