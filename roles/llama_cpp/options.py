"""Options of llama.cpp's two servers: the native one and the Python one.

llama-server's options have the same names here, except a few with plainer names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from roles.llama_cpp.builds import (
    OTHER_BUILD,
    LlamaCppBuild,
    LlamaCppRelease,
    PythonWheel,
    check_cards,
    check_devices,
    check_shares,
    device_names,
    implied_cards,
)
from roles.llama_cpp.held import HELD_ARGUMENTS, HELD_SETTINGS
from roles.options import (
    GgufSource,
    Gpus,
    KeyedProvider,
    Many,
    ModelName,
    Options,
    PythonSdist,
    Seconds,
    TextFile,
    check_arguments,
    spelled,
)

PYTHON_VERSION = "0.3.36"
"""Version of llama-cpp-python that `locks/` pins. Its bindings fit the llama.cpp tree of the same release only."""

CacheType = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"]
SpecType = Literal[
    "draft-simple", "draft-eagle3", "draft-mtp", "ngram-simple", "ngram-map-k", "ngram-map-k4v", "ngram-mod"
]
Device = Annotated[
    str, spelled("[A-Za-z]+[0-9]+", 'device, such as "Vulkan0": `llama-server --list-devices` prints them')
]
Layers = Annotated[int, Field(ge=0)]

_QUANTIZED = ("q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")


class LlamaServer(KeyedProvider):
    """`llama-server`, llama.cpp's own HTTP server, for one model."""

    held_variables: ClassVar[Mapping[str, str]] = {"LLAMA_API_KEY": "api_key", "LLAMA_ARG_*": "extra_arguments"}

    build: LlamaCppBuild | LlamaCppRelease = Field(
        examples=[
            'build=LlamaCppBuild(source=PythonSdist(package="llama-cpp-python", version="0.3.36", '
            'sha256="832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e", '
            'subdirectory="vendor/llama.cpp"), backend="cuda")'
        ]
    )
    """The llama.cpp to run."""
    model: GgufSource = Field(
        examples=[
            'model=HubFile(repository="Qwen/Qwen2.5-1.5B-Instruct-GGUF", '
            'revision="91cad51170dc346986eccefdc2dd33a9da36ead9", file="qwen2.5-1.5b-instruct-q4_k_m.gguf")'
        ]
    )
    """The GGUF file to serve."""
    served_name: ModelName = Field(examples=['served_name="qwen-native"'])
    """The model's name in requests to this server."""
    mmproj: GgufSource | None = Field(
        None,
        examples=[
            'mmproj=LocalFile(path="~/models/mmproj.gguf", '
            'sha256="50539c5fe9bf85887733355098dcdb266b433cb8c73fa180713417e9ed6e42bb")'
        ],
    )
    """Projector of a model that also accepts images or sound."""
    lora: Many[GgufSource] = Field(
        (),
        examples=[
            'lora=[LocalFile(path="~/models/lora.gguf", '
            'sha256="50539c5fe9bf85887733355098dcdb266b433cb8c73fa180713417e9ed6e42bb")]'
        ],
    )
    """LoRA adapters to apply."""
    context_size: Annotated[int, Field(ge=0)] = Field(0, examples=["context_size=8192"])
    """Tokens of context over all slots; 0 = as the model was trained."""
    parallel: Annotated[int, Field(ge=1)] = Field(1, examples=["parallel=2"])
    """Requests to answer at the same time; each gets its share of the context."""
    threads: Annotated[int, Field(ge=1)] | None = Field(None, examples=["threads=8"])
    """Processor threads for generation; none = llama.cpp's choice."""
    threads_batch: Annotated[int, Field(ge=1)] | None = Field(None, examples=["threads_batch=16"])
    """Processor threads for prompts; none = as `threads`."""
    batch_size: Annotated[int, Field(ge=1)] | None = Field(None, examples=["batch_size=1024"])
    """Tokens of a prompt to process together; none = llama.cpp's choice."""
    ubatch_size: Annotated[int, Field(ge=1)] | None = Field(None, examples=["ubatch_size=1024"])
    """Tokens to compute together; limits the length of a text to embed. None = llama.cpp's choice."""
    gpu_layers: Layers | None = Field(None, examples=["gpu_layers=24"])
    """Layers to keep in GPU memory; none = as many as fit."""
    n_cpu_moe: Layers | None = Field(None, examples=["n_cpu_moe=12"])
    """Layers whose mixture-of-experts weights stay in main memory."""
    device: Many[Device] = Field((), examples=['device=["CUDA0"]'])
    """Devices to use, as `llama-server --list-devices` names them, e.g. `Vulkan0`; none = all that it sees."""
    split_mode: Literal["none", "layer", "row", "tensor"] | None = Field(None, examples=['split_mode="row"'])
    """How the model is split over several cards; none = by layer."""
    tensor_split: Many[Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        (), examples=["tensor_split=[3.0, 1.0]"]
    )
    """Share of the model for each card, e.g. `[3.0, 1.0]`; none = by free memory."""
    main_gpu: Annotated[int, Field(ge=0)] | None = Field(None, examples=["main_gpu=1"])
    """Number of the card for what is not split; none = the first."""
    flash_attention: Literal["auto", "on", "off"] = Field("auto", examples=['flash_attention="on"'])
    """Whether to use flash attention."""
    cache_type_k: CacheType | None = Field(None, examples=['cache_type_k="q8_0"'])
    """Type of the keys in the KV cache; none = `f16`."""
    cache_type_v: CacheType | None = Field(None, examples=['cache_type_v="q8_0"'])
    """Type of the values in the KV cache; a quantized one needs flash attention. None = `f16`."""
    kv_unified: bool | None = Field(None, examples=["kv_unified=True"])
    """Whether the slots share one KV cache, so that one may use what the others leave; none = llama.cpp's choice."""
    cache_ram: Annotated[int, Field(ge=-1)] | None = Field(None, examples=["cache_ram=2048"])
    """MiB of main memory for caching prompts; 0 = no such cache, -1 = no limit. None = 8192."""
    context_shift: bool = Field(False, examples=["context_shift=True"])
    """Drop the oldest tokens when the context is full, and go on; off: the answer ends there."""
    load_mode: Literal["auto", "none", "mmap", "mlock", "mmap+mlock", "dio"] = Field(
        "auto", examples=['load_mode="mlock"']
    )
    """How the model is loaded; with `mlock` it is never swapped out."""
    numa: Literal["distribute", "isolate", "numactl"] | None = Field(None, examples=['numa="distribute"'])
    """How threads are spread over the memory nodes of a NUMA host; none = not at all."""
    rope_scaling: Literal["none", "linear", "yarn"] | None = Field(None, examples=['rope_scaling="yarn"'])
    """How the context is extended beyond the model's training; none = as the model says."""
    rope_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(None, examples=["rope_scale=4.0"])
    """Factor of that extension."""
    rope_freq_base: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, examples=["rope_freq_base=1_000_000.0"]
    )
    """Base frequency of the position encoding; none = as the model says."""
    yarn_orig_ctx: Annotated[int, Field(ge=1)] | None = Field(None, examples=["yarn_orig_ctx=32768"])
    """Tokens of context in the model's training, for YaRN; none = as the model says."""
    embeddings: bool = Field(False, examples=["embeddings=True"])
    """Serve embeddings and nothing else; for embedding models."""
    pooling: Literal["none", "mean", "cls", "last", "rank"] | None = Field(None, examples=['pooling="mean"'])
    """How a text's tokens become one vector; none = as the model says."""
    reranking: bool = Field(False, examples=["reranking=True"])
    """Serve `/v1/rerank`; for reranking models."""
    jinja: bool | None = Field(None, examples=["jinja=True"])
    """Whether the Jinja engine renders the chat template, which tool calls need; none = llama.cpp's choice."""
    chat_template: TextFile | None = Field(
        None, examples=['chat_template=TextFile("~/ai-backend/chat-template.jinja")']
    )
    """Jinja template to use instead of the model's own."""
    chat_template_kwargs: Mapping[str, JsonValue] = Field(
        default_factory=dict, examples=['chat_template_kwargs={"enable_thinking": False}']
    )
    """Values for the chat template, e.g. `{"enable_thinking": False}`."""
    reasoning_format: Literal["auto", "none", "deepseek", "deepseek-legacy"] = Field(
        "auto", examples=['reasoning_format="deepseek"']
    )
    """Where a reasoning model's thoughts go: `none` leaves them in the answer's text."""
    reasoning_budget: Annotated[int, Field(ge=-1)] | None = Field(None, examples=["reasoning_budget=1024"])
    """Tokens for thinking; 0 = it does not think, -1 and none = no limit."""
    draft_model: GgufSource | None = Field(
        None,
        examples=[
            'draft_model=LocalFile(path="~/models/draft.gguf", '
            'sha256="50539c5fe9bf85887733355098dcdb266b433cb8c73fa180713417e9ed6e42bb")'
        ],
    )
    """Small model of the same vocabulary that drafts tokens for the large one to check."""
    draft_max: Annotated[int, Field(ge=1)] | None = Field(None, examples=["draft_max=8"])
    """Most tokens to draft at once; none = llama.cpp's choice."""
    draft_min: Annotated[int, Field(ge=0)] | None = Field(None, examples=["draft_min=2"])
    """Fewest tokens for using a draft; none = llama.cpp's choice."""
    draft_gpu_layers: Layers | None = Field(None, examples=["draft_gpu_layers=24"])
    """Layers of the draft model to keep in GPU memory; none = as many as fit."""
    spec_type: SpecType | None = Field(None, examples=['spec_type="ngram-simple"'])
    """How tokens are drafted; none = not at all, or `draft-simple` with a `draft_model`."""
    metrics: bool = Field(False, examples=["metrics=True"])
    """Serve Prometheus metrics at `/metrics`, also without `monitoring` in the stack."""
    slots: bool = Field(True, examples=["slots=False"])
    """Serve the state of the slots at `/slots`."""
    extra_arguments: Many[str] = Field((), examples=['extra_arguments=["--slot-prompt-similarity", "0.2"]'])
    """Further command line arguments, as llama-server spells them."""
    start_timeout: Seconds = Field(300, examples=["start_timeout=900"])
    """Seconds that it may take from start to its first answer; large models load slowly from disk."""

    @model_validator(mode="after")
    def _cards_fit_the_build(self) -> LlamaServer:
        check_cards(self.build.backend, self.gpus)
        of_cards = ("gpu_layers", "n_cpu_moe", "device", "split_mode", "tensor_split", "main_gpu", "draft_gpu_layers")
        given = [option for option in of_cards if getattr(self, option)]
        if given and self.build.backend == "cpu":
            raise ValueError(f"`{given[0]}` is for a GPU build, and this is a CPU build: {OTHER_BUILD}, or remove it")
        check_shares(self.tensor_split, self.main_gpu, self.gpus)
        check_devices(self.device, self.build.backend, self.gpus)
        return self

    @model_validator(mode="after")
    def _options_fit_together(self) -> LlamaServer:
        drafts = [
            option for option in ("draft_max", "draft_min", "draft_gpu_layers") if getattr(self, option) is not None
        ]
        if drafts and not (self.draft_model or self.spec_type):
            raise ValueError(f"`{drafts[0]}` is given, and nothing drafts; give `draft_model`, or remove it")
        if self.spec_type in ("draft-simple", "draft-eagle3") and self.draft_model is None:
            raise ValueError(f'`spec_type="{self.spec_type}"` drafts with a model; give `draft_model`, or remove it')
        if self.draft_max is not None and (self.draft_min or 0) > self.draft_max:
            raise ValueError(f"`draft_min` is {self.draft_min}, which is more than the `draft_max` of {self.draft_max}")
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
        check_arguments(arguments, HELD_ARGUMENTS)
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
    context_size: Annotated[int, Field(ge=0)] = Field(2048, examples=["context_size=4096"])
    """Tokens of context; 0 = as the model was trained."""
    threads: Annotated[int, Field(ge=1)] | None = Field(None, examples=["threads=8"])
    """Processor threads for generation; none = half of the cores."""
    batch_size: Annotated[int, Field(ge=1)] | None = Field(None, examples=["batch_size=1024"])
    """Tokens of a prompt to process together; none = 512."""
    gpu_layers: Annotated[int, Field(ge=-1)] | None = Field(None, examples=["gpu_layers=24"])
    """Layers to keep in GPU memory; -1 and none = all, with a GPU build."""
    tensor_split: Many[Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        (), examples=["tensor_split=[3.0, 1.0]"]
    )
    """Share of the model for each card, e.g. `[3.0, 1.0]`; none = by free memory."""
    main_gpu: Annotated[int, Field(ge=0)] | None = Field(None, examples=["main_gpu=1"])
    """Number of the card for what is not split; none = the first."""
    flash_attention: bool = Field(False, examples=["flash_attention=True"])
    """Whether to use flash attention."""
    cache_type_k: CacheType | None = Field(None, examples=['cache_type_k="q8_0"'])
    """Type of the keys in the KV cache; none = `f16`."""
    cache_type_v: CacheType | None = Field(None, examples=['cache_type_v="q8_0"'])
    """Type of the values in the KV cache; a quantized one needs `flash_attention`. None = `f16`."""
    mlock: bool = Field(False, examples=["mlock=True"])
    """Never swap the model out."""
    embedding: bool = Field(False, examples=["embedding=True"])
    """Serve embeddings too; for embedding models."""
    chat_format: str | None = Field(None, examples=['chat_format="chatml"'])
    """Name of a chat format of llama-cpp-python; none = the template in the GGUF file."""
    chat_template_kwargs: Mapping[str, JsonValue] = Field(
        default_factory=dict, examples=['chat_template_kwargs={"enable_thinking": False}']
    )
    """Values for the chat template, e.g. `{"enable_thinking": False}`."""
    mmproj: GgufSource | None = Field(
        None,
        examples=[
            'mmproj=LocalFile(path="~/models/mmproj.gguf", '
            'sha256="50539c5fe9bf85887733355098dcdb266b433cb8c73fa180713417e9ed6e42bb")'
        ],
    )
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

    model: GgufSource = Field(
        examples=[
            'model=HubFile(repository="Qwen/Qwen2.5-1.5B-Instruct-GGUF", '
            'revision="91cad51170dc346986eccefdc2dd33a9da36ead9", file="qwen2.5-1.5b-instruct-q4_k_m.gguf")'
        ]
    )
    """The GGUF file to serve."""
    served_name: ModelName = Field(examples=['served_name="qwen-python"'])
    """The model's name in requests to this server."""


class LlamaCppPython(KeyedProvider, _PythonModelOptions):
    """The OpenAI-compatible server of llama-cpp-python.

    It serves one request at a time. With several `models` only one is in memory: a request for another one loads that
    instead.
    """

    held_variables: ClassVar[Mapping[str, str]] = HELD_SETTINGS

    build: LlamaCppBuild | PythonWheel = Field(
        examples=[
            'build=PythonWheel(version="0.3.36", backend="cuda", '
            'requirements=TextFile("~/ai-backend/llama-cpp-python-cuda.txt"))'
        ]
    )
    """The llama.cpp that it loads: the build that serves natively, or one in a wheel."""
    model: GgufSource | None = Field(
        None,
        examples=[
            'model=HubFile(repository="Qwen/Qwen2.5-1.5B-Instruct-GGUF", '
            'revision="91cad51170dc346986eccefdc2dd33a9da36ead9", file="qwen2.5-1.5b-instruct-q4_k_m.gguf")'
        ],
    )
    """The GGUF file to serve, if it is the only one."""
    served_name: ModelName | None = Field(None, examples=['served_name="qwen-python"'])
    """The model's name in requests to this server."""
    models: Many[PythonServerModel] = Field(
        (),
        examples=[
            'models=[PythonServerModel(model=HubFile(repository="Qwen/Qwen2.5-1.5B-Instruct-GGUF", '
            'revision="91cad51170dc346986eccefdc2dd33a9da36ead9", file="qwen2.5-1.5b-instruct-q4_k_m.gguf"), '
            'served_name="qwen-python")]'
        ],
    )
    """Several models, each with its own options, instead of `model`; the first is loaded at the start."""
    start_timeout: Seconds = Field(300, examples=["start_timeout=900"])
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
            check_shares(model.tensor_split, model.main_gpu, self.gpus)
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
