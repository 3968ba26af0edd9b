"""Options of vLLM."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roles.spec import HubModel, Many, ModelName, Provider, Seconds


class Vllm(Provider):
    """A vLLM server for one model."""

    model: HubModel
    """The model repository to serve."""
    served_name: ModelName | None = None
    """The model's name in requests to this server; none = the repository's name."""
    quantization: str | None = None
    """Quantization method; none = vLLM detects it and picks the fast kernel (forcing `awq` is slower)."""
    max_model_len: Annotated[int, Field(ge=1)] | None = None
    """Longest context in tokens; none = what the model was trained with."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of the card's memory that it may take."""
    extra_arguments: Many[str] = ()
    """Further command line arguments, as `vllm serve` spells them."""
    start_timeout: Seconds = 900
    """Seconds that it may take from start to its first answer; the first start compiles."""

    @property
    def model_name(self) -> str:
        return self.served_name or self.model.repository

    def served(self) -> tuple[ModelName, ...]:
        return (self.model_name,)
