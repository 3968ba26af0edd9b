"""Options of clouds that LiteLLM knows by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SerializeAsAny, model_validator

from roles.external.options import BaseUrl, check_ca
from roles.external.vendors import AZURE, BEDROCK, Vendor, bedrock_regions, that_keep_nothing, vendors
from roles.options import GivenSecret, Many, MeteredProvider, Mode, ModelName, Price, TextFile, quoted, spelled
from roles.options.base import nearest

CloudMode = Literal["chat", "embedding"]


def _vendor(name: str) -> str:
    """
    Raises:
        ValueError: the release knows none of that name.
    """
    if name not in vendors():
        raise ValueError(
            f"{quoted(name)} is no cloud that the pinned LiteLLM knows by what it needs{nearest(name, vendors())} (it "
            f"knows {', '.join(vendors())}); what speaks OpenAI's API is an `External`"
        )
    return name


def _region(name: str) -> str:
    """
    Raises:
        ValueError: there is none of that name.
    """
    if name not in bedrock_regions():
        raise ValueError(
            f"{quoted(name)} is no region of Bedrock{nearest(name, bedrock_regions())} (it has "
            f"{', '.join(bedrock_regions())})"
        )
    return name


VendorName = Annotated[str, AfterValidator(_vendor)]
Region = Annotated[str, AfterValidator(_region)]
ApiVersion = Annotated[
    str,
    spelled(
        "20[0-9]{2}-[0-9]{2}-[0-9]{2}(-preview)?|v1|preview|latest",
        'version of Azure\'s API, such as "2025-02-01-preview"',
    ),
]


class Cloud(MeteredProvider):
    """A cloud that LiteLLM knows by name, in whose own API it is asked. Nothing of it is on the host but its key. What
    leaves for it, leaves the host."""

    vendor: VendorName = Field(examples=['vendor="anthropic"'])
    """Its name in LiteLLM, such as `openai`, `anthropic`, `gemini`, `azure`, `bedrock`, `openrouter`, `mistral`,
    `groq`, `deepseek`; `ollama_cloud` is Ollama's own. A wrong one is refused with the list of all."""
    api_key: SerializeAsAny[GivenSecret] = Field(examples=['api_key=EnvSecret("ANTHROPIC_API_KEY")'])
    """The key that requests to it must carry. Bedrock's is one of its API keys; access keys of AWS are not taken."""
    models: Annotated[Many[ModelName], Field(min_length=1)] = Field(examples=['models=["claude-haiku-4-5"]'])
    """Its models that routes may use, as LiteLLM's list of prices names them behind the vendor's name. On Azure they
    are the names of your deployments."""
    prices: Mapping[ModelName, Price] = Field(
        default_factory=dict, examples=['prices={"claude-next": Price(input=1, output=5)}']
    )
    """What a million tokens of a model cost. Needed for models that LiteLLM's list does not have; for others it stands
    in place of the price there."""
    modes: Annotated[Many[CloudMode], Field(min_length=1)] = Field(("chat",), examples=['modes=["embedding"]'])
    """The kinds of requests that its models answer which LiteLLM's list does not have; of the others it says."""
    api_base: BaseUrl | None = Field(None, examples=['api_base="https://ai-gateway.example.com"'])
    """Another address than the vendor's own, such as a gateway of the company that passes requests on; for Azure the
    one of your resource. For Gemini give it with `/v1beta`; for Anthropic, Azure and Ollama without a version, which
    LiteLLM adds; for the others mostly with `/v1`."""
    api_version: ApiVersion | None = Field(None, examples=['api_version="2025-02-01-preview"'])
    """Version of Azure's API; for Azure alone, which needs it."""
    region: Region | None = Field(None, examples=['region="eu-central-1"'])
    """Region of Bedrock; for Bedrock alone, which needs it."""
    ca: TextFile | None = Field(None, examples=['ca=TextFile("~/ai-backend/company-ca.pem")'])
    """As in `External`."""
    retention: Literal["none"] | None = Field(None, examples=['retention="none"'])
    """`none` = each request asks the vendor to keep nothing of it, which no client can take back. For `openai` and
    `azure` that is `store: false`: nothing can be fetched or continued later; what they keep against abuse is a matter
    of your contract. `openrouter` and `vercel_ai_gateway` then ask only servers that keep nothing, and fail if there is
    none. None = as the vendor does by itself. The other vendors take no such word from a request."""

    def served(self) -> tuple[ModelName, ...]:
        return tuple(self.models)

    def leaves_for(self, model: ModelName) -> str | None:
        return urlsplit(self.address).hostname

    def price_of(self, model: ModelName) -> Price | None:
        if model in self.prices:
            return self.prices[model]
        known = self.known.models.get(model)
        return known.price if known else None

    def modes_of(self, model: ModelName) -> tuple[Mode, ...]:
        """The kinds of requests that a model answers."""
        known = self.known.models.get(model)
        return (known.mode,) if known else tuple(self.modes)

    @property
    def known(self) -> Vendor:
        """What the release knows of its vendor."""
        return vendors()[self.vendor]

    @property
    def address(self) -> str:
        """Where requests to it go."""
        return self.api_base or self.known.address.format(region=self.region)

    @model_validator(mode="after")
    def _fits_its_vendor(self) -> Cloud:
        if problems := [*self._option_problems(), *self._model_problems()]:
            raise ValueError("; ".join(problems))
        check_ca(self.ca, self.address)
        return self

    def _option_problems(self) -> Iterator[str]:
        for option, of in (("api_version", AZURE), ("region", BEDROCK)):
            given = getattr(self, option)
            if given is None and self.vendor == of:
                yield f"{of} needs `{option}`: {_example_of(option)}"
            if given is not None and self.vendor != of:
                yield f"`{option}` is for {of} alone; remove it"
        if not self.api_base and not self.known.address:
            yield 'azure needs `api_base`, the address of your resource: api_base="https://NAME.openai.azure.com"'
        if self.retention and not self.known.keeps_nothing:
            yield (
                f"`retention` has no use for {self.vendor}, which takes no word on that from a request; remove it, and "
                f"settle it in your account there (those that do: {', '.join(that_keep_nothing())})"
            )
        for end in self.known.ends_with:
            if self.api_base and self.api_base.endswith(end):
                right = self.api_base.removesuffix(end)
                yield f"LiteLLM adds `{end}` to `api_base` by itself; write {quoted(right)}"

    def _model_problems(self) -> Iterator[str]:
        known = self.known.models
        for model in self.models:
            if model in self.prices or (model in known and known[model].price):
                continue
            bare = model.removeprefix(f"{self.known.prefix}/")
            if bare != model and bare in known:
                yield f"{quoted(model)}: LiteLLM's name of the vendor is added by itself; write {quoted(bare)}"
                continue
            has = "has no price for" if model in known else f"has no model of {self.vendor} called"
            yield (
                f"LiteLLM's list of prices {has} {quoted(model)}{'' if model in known else nearest(model, known)}; if "
                f"{self.vendor} has it, say what it costs: prices={{{quoted(model)}: Price(input=…, output=…)}}"
            )
        for model in self.prices:
            if model not in self.models:
                yield f"`prices` has {quoted(model)}, which is not in `models`{nearest(model, self.models)}"


def _example_of(option: str) -> str:
    (example,) = Cloud.model_fields[option].examples or [""]
    return str(example)
