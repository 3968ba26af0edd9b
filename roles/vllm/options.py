"""Options of vLLM. Options for one of vLLM's own have its name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from roles.options import (
    Gpus,
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
)

VERSION = "0.32.0"
"""The release that `locks/` pins."""


class VllmPackage(Options):
    """The build of vLLM to install. The default is the CUDA build from the host's package index."""

    name: Name = "vllm"
    """Name of the environment; give two different ones on one host different names."""
    version: str = VERSION
    """The version that the environment must then contain."""
    requirements: TextFile | None = None
    """Hash-locked requirements, as `uv pip compile --generate-hashes` writes them, with overrides and their other
    needs; none = the shipped ones, for CUDA."""
    index_url: Url | None = None
    """A package index to use instead of the host's own."""
    extra_index_urls: Many[Url] = ()
    """Further package indexes."""
    find_links: Many[Url] = ()
    """Pages that link to files of packages."""


class Vllm(KeyedProvider):
    """A vLLM server for one model."""

    model: HubModel
    """The model repository to serve."""
    package: VllmPackage = VllmPackage()
    """The vLLM to run."""
    gpus: Gpus | None = Gpus()
    """The graphics cards that it runs on; none = the processor, which needs a `package` built for it."""
    served_model_name: ModelName | None = None
    """The model's name in requests to this server; none = the repository's name."""
    runner: Literal["auto", "generate", "pooling"] = "auto"
    """The use of the model; `pooling` for embedding models."""
    quantization: str | None = None
    """Quantization method; none = vLLM detects it and picks the fast kernel (forcing `awq` is slower)."""
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] = "auto"
    """Type of weights and activations."""
    kv_cache_dtype: str | None = None
    """Type of the KV cache, e.g. `fp8`; none = that of the model."""
    max_model_len: Annotated[int, Field(ge=1)] | None = None
    """Longest context in tokens; none = as the model was trained."""
    max_num_seqs: Annotated[int, Field(ge=1)] | None = None
    """Requests to compute at the same time; none = vLLM's choice."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of each card's memory that it reserves at its start, whatever the model needs."""
    tensor_parallel_size: Annotated[int, Field(ge=1)] = 1
    """Cards that each layer is split over."""
    pipeline_parallel_size: Annotated[int, Field(ge=1)] = 1
    """Groups of cards that the layers are distributed over."""
    enable_prefix_caching: bool | None = None
    """Whether the KV cache of equal prompt beginnings is kept and shared; none = vLLM's choice."""
    enforce_eager: bool = False
    """No compiled graphs: it starts sooner but answers slower."""
    tool_call_parser: str | None = None
    """How tool calls are parsed from the model's output, e.g. `hermes`; none = no automatic tool calls."""
    reasoning_parser: str | None = None
    """How a reasoning model's thoughts are separated from its answer, e.g. `qwen3`."""
    chat_template: TextFile | None = None
    """Jinja template to use instead of the model's own."""
    trust_remote_code: bool = False
    """Run Python code from the model repository. It gets all rights of the service's user."""
    kv_cache_memory_bytes: MemorySize | None = None
    """Memory for the KV cache, e.g. `8G`; none = what `gpu_memory_utilization` leaves. Required on the processor, where
    vLLM would otherwise take nearly all of the host's memory."""
    extra_arguments: Many[str] = ()
    """Further command line arguments, as `vllm serve` spells them."""
    start_timeout: Seconds = 900
    """Seconds that it may take from start to its first answer; the first start compiles."""

    @model_validator(mode="after")
    def _memory_is_bounded(self) -> Vllm:
        if self.gpus is None and self.kv_cache_memory_bytes is None:
            raise ValueError(
                "on the processor vLLM takes nearly all of the host's memory; give `kv_cache_memory_bytes`, e.g. "
                '"4G", or the cards with `gpus`'
            )
        return self

    @property
    def model_name(self) -> str:
        return self.served_model_name or self.model.repository

    def served(self) -> tuple[ModelName, ...]:
        return (self.model_name,)

    def gpu_memory_share(self) -> float | None:
        return self.gpu_memory_utilization if self.gpus else None
