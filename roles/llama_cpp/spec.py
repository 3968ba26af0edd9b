"""Options of llama.cpp: its build, the native server, and the Python server."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roles.spec import GgufSource, KeyedProvider, Many, ModelName, Name, Options, Seconds, SourceTree


class LlamaCppBuild(Options):
    """A build of llama.cpp from source. Servers that name the same build share it."""

    name: Name = "llama-cpp"
    """Name of the build; give two different builds on one host different names."""
    source: SourceTree
    """The source tree."""
    native: bool = True
    """Compile for exactly this host's processor. Off: for any processor of its kind."""
    jobs: Annotated[int, Field(ge=1)] | None = None
    """Compilers that run side by side; none = one a core."""


class LlamaServer(KeyedProvider):
    """`llama-server`, llama.cpp's own HTTP server, for one model."""

    build: LlamaCppBuild
    """The llama.cpp to run."""
    model: GgufSource
    """The GGUF file to serve."""
    served_name: ModelName
    """The model's name in requests to this server."""
    context_size: Annotated[int, Field(ge=0)] = 0
    """Tokens of context over all slots; 0 = what the model was trained with."""
    parallel: Annotated[int, Field(ge=1)] = 1
    """Requests that are answered at the same time; each gets its share of the context."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Processor threads for generation; none = llama.cpp's choice."""
    gpu_layers: Annotated[int, Field(ge=0)] | None = None
    """Layers that are kept in GPU memory; none = as many as fit."""
    extra_arguments: Many[str] = ()
    """Further command line arguments, as llama-server spells them."""
    start_timeout: Seconds = 300
    """Seconds that it may take from start to its first answer; large models load slowly from disk."""

    def served(self) -> tuple[ModelName, ...]:
        return (self.served_name,)


class LlamaCppPython(KeyedProvider):
    """The OpenAI-compatible server of llama-cpp-python, for one model."""

    build: LlamaCppBuild
    """The llama.cpp whose libraries it loads: the same build that serves natively."""
    model: GgufSource
    """The GGUF file to serve."""
    served_name: ModelName
    """The model's name in requests to this server."""
    context_size: Annotated[int, Field(ge=0)] = 2048
    """Tokens of context; 0 = what the model was trained with."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Processor threads for generation; none = half of the cores."""
    gpu_layers: Annotated[int, Field(ge=-1)] = 0
    """Layers that are kept in GPU memory; -1 = all."""
    start_timeout: Seconds = 300
    """Seconds that it may take from start to its first answer."""

    def served(self) -> tuple[ModelName, ...]:
        return (self.served_name,)
