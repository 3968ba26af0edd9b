"""Routes: which provider answers which public model name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from roles.contract.abilities import WhenUnsupported
from roles.contract.modes import MODES, PROMPT, Mode
from roles.contract.speeds import WhenSlower
from roles.options.base import Many, Options
from roles.options.money import Price
from roles.options.spelling import spelled
from roles.options.values import ModelName, ProviderName, Seconds

Tag = Annotated[str, spelled("[A-Za-z0-9][A-Za-z0-9._:-]*", 'tag: a word without spaces, such as "fast"')]


class Deployment(Options):
    """One provider's model behind a public name."""

    provider: ProviderName = Field(examples=['provider="ollama"'])
    """Name of the provider instance; `HOST/NAME` = one of another host of the inventory."""
    model: ModelName | None = Field(None, examples=['model="llama3.1:latest"'])
    """Model of that provider; none = the only one it serves."""
    weight: Annotated[int, Field(ge=1)] = Field(1, examples=["weight=3"])
    """Share of the requests among the route's deployments of the same order."""
    order: Annotated[int, Field(ge=1)] = Field(1, examples=["order=2"])
    """Deployments of a higher order are used only while all of the lower ones fail."""
    rpm: Annotated[int, Field(ge=1)] | None = Field(None, examples=["rpm=60"])
    """Most requests within a minute; further ones go to the other deployments, or are refused with 429. Without
    `max_parallel_requests` it is also the most at the same time. Each verification sends a few requests too; if they
    are used up, it waits for the next minute."""
    tpm: Annotated[int, Field(ge=1)] | None = Field(None, examples=["tpm=100_000"])
    """Most tokens, of requests and answers, within a minute, likewise. Without `rpm` and `max_parallel_requests` it
    also bounds the requests at the same time: to 6 for each 1,000 tokens, and at least 1. `tpm=500` lets 3 through, and
    further ones get 429 at once."""
    max_parallel_requests: Annotated[int, Field(ge=1)] | None = Field(None, examples=["max_parallel_requests=4"])
    """Most requests at the same time, likewise: requests do not queue for a free place. None = what `rpm`, or else
    `tpm`, implies; without these, any number."""
    timeout: Seconds | None = Field(None, examples=["timeout=120"])
    """Seconds that one of its answers may take; none = the gateway's `request_timeout`."""
    stream_timeout: Seconds | None = Field(None, examples=["stream_timeout=30"])
    """Seconds that one of its streamed answers may pause, at its beginning or later; none = as `timeout`."""
    price: Price | None = Field(None, examples=["price=Price(input=0.15, output=0.60)"])
    """What its tokens cost, for usage and clients' budgets; none = as its `Cloud` says, and else nothing."""
    tags: Many[Tag] = Field((), examples=['tags=["default", "fast"]'])
    """It answers requests with one of these tags; with `default` also requests without tags."""

    @property
    def host(self) -> str:
        """The other host whose provider it is; empty = it is one of the same host."""
        return self.provider.rpartition("/")[0]


class Probe(Options):
    """The verifier's question to a route."""

    prompt: str = Field(PROMPT, examples=['prompt="What is the capital of France?"'])
    """The question; for a reranker, what the documents are compared with."""
    documents: Many[str] = Field(
        (), examples=['documents=["Bread is made of flour.", "The capital of France is Paris."]']
    )
    """Documents for a reranker to sort, in any order but the right one; not for other modes."""
    expects: str | None = Field(None, examples=['expects="Paris"'])
    """Words that the answer (of a reranker, the best document) must contain, ignoring case; none = any words will
    do."""
    max_tokens: Annotated[int, Field(ge=1)] = Field(64, examples=["max_tokens=512"])
    """Longest answer, in tokens. Reasoning models need room to think before they answer."""
    timeout: Seconds = Field(120, examples=["timeout=300"])
    """Seconds that one answer may take."""


class Speed(Options):
    """How fast a route must be. Beside what is declared, it must not be slower than in the generation before, by more
    than its noise."""

    when_slower: WhenSlower = Field("report", examples=['when_slower="fail"'])
    """What to do if it is slower: `report` is a warning; `fail` fails the verification, so that a deploy is taken back;
    `off` does not measure."""
    tokens_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, examples=["tokens_per_second=30"]
    )
    """Tokens that it must write a second, at least, for one client; none = no bound."""
    time_to_first_token: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, examples=["time_to_first_token=1.5"]
    )
    """Seconds until the first token of its answer to a short question, at most; none = no bound."""

    @model_validator(mode="after")
    def _measures_what_it_bounds(self) -> Speed:
        if self.when_slower == "off" and (self.tokens_per_second or self.time_to_first_token):
            raise ValueError('`when_slower="off"` measures nothing; remove the bounds, or set it to "report" or "fail"')
        return self


class Route(Options):
    """A public model name and its deployments."""

    name: ModelName = Field(examples=['name="llama3.1:latest"'])
    """The model name in clients' requests."""
    deployments: Annotated[Many[Deployment], Field(min_length=1)] = Field(
        examples=['deployments=[Deployment(provider="ollama")]']
    )
    """The deployments that answer, in order."""
    fallbacks: Many[ModelName] = Field((), examples=['fallbacks=["qwen2.5-coder:7b"]'])
    """Public names to try, in order, when every deployment of this one fails; none = the gateway's
    `default_fallbacks`."""
    context_window_fallbacks: Many[ModelName] = Field((), examples=['context_window_fallbacks=["qwen-coder-vllm"]'])
    """Public names to try, in order, when a request is too long for this one; none = `fallbacks`."""
    content_policy_fallbacks: Many[ModelName] = Field((), examples=['content_policy_fallbacks=["qwen2.5-coder:7b"]'])
    """Public names to try, in order, when this one refuses a request for its content; none = `fallbacks`."""
    no_fallbacks: bool = Field(False, examples=["no_fallbacks=True"])
    """Never send its requests to another route, whatever the gateway's `default_fallbacks` are: where they must stay
    with one model."""
    local_only: bool = Field(False, examples=["local_only=True"])
    """Its requests never leave this host, or the hosts of the inventory: not for another deployment or fallback, and
    not by what a client writes into a request. A stack in which a deployment or a fallback would send them elsewhere is
    refused."""
    mode: Mode = Field("chat", examples=['mode="embedding"'])
    """The kind of requests that it answers."""
    context_size: Annotated[int, Field(ge=1)] | None = Field(None, examples=["context_size=16384"])
    """Most tokens of a request, as published to clients; none = not published."""
    tools: bool | None = Field(None, examples=["tools=True"])
    """Whether it can call tools, as published to clients; none = not published, and tools are passed on where the
    options of its servers say so (vLLM's `tool_call_parser`; llama-server; not Ollama). What is published is
    verified."""
    structured_outputs: bool | None = Field(None, examples=["structured_outputs=True"])
    """Whether it answers by a JSON schema if a request asks for that, as published to clients; none = not published.
    What is published is verified."""
    vision: bool | None = Field(None, examples=["vision=True"])
    """Whether it accepts images, as published to clients; none = not published, and accepted where its servers' options
    say so, such as llama.cpp's `mmproj`. A request with an image is refused where it does not."""
    thinking: bool | None = Field(None, examples=["thinking=True"])
    """Whether a request may set how long it thinks (`reasoning_effort`, `thinking`); none = as its servers do: vLLM and
    llama-server take such a field, Ollama refuses it for a model that does not think."""
    when_unsupported: WhenUnsupported = Field("drop", examples=['when_unsupported="refuse"'])
    """What to do with `tools` or `reasoning_effort` where it cannot use them. Many programs send them each time: `drop`
    leaves them out, `refuse` answers 400. What a client must have (a forced tool, a JSON schema, an image) is always
    refused."""
    probe: Probe | None = Field(
        None, examples=['probe=Probe(prompt="What is the capital of France?", expects="Paris")']
    )
    """The verifier's question; none = one that fits its mode."""
    speed: WhenSlower | Speed = Field("report", examples=['speed=Speed(when_slower="fail", tokens_per_second=30)'])
    """Whether its speed is measured, if it writes text, and what to do if it is slower than it should be: `report`,
    `fail` or `off`, or a `Speed` with bounds."""

    @property
    def speed_bounds(self) -> Speed:
        """How fast it must be."""
        return self.speed if isinstance(self.speed, Speed) else Speed(when_slower=self.speed)

    @property
    def asked(self) -> Probe:
        """The question that verifies it."""
        usual = MODES[self.mode]
        return self.probe or Probe(prompt=usual.prompt, documents=usual.documents, expects=usual.expects)

    @model_validator(mode="after")
    def _has_fallbacks_or_none(self) -> Route:
        for option in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
            if self.no_fallbacks and getattr(self, option):
                raise ValueError(f"`no_fallbacks` and `{option}` exclude each other; remove one of them")
        return self

    @model_validator(mode="after")
    def _probe_fits_the_mode(self) -> Route:
        takes_documents = bool(MODES[self.mode].documents)
        if takes_documents and len(self.asked.documents) < 2:
            raise ValueError("its probe asks a reranker, and needs at least two `documents` to put in order")
        if not MODES[self.mode].calls_tools and (self.tools or self.structured_outputs):
            raise ValueError('`tools` and `structured_outputs` are for chats; remove them, or set `mode="chat"`')
        if not takes_documents and self.asked.documents:
            raise ValueError('`documents` are for a reranker; set `mode="rerank"`, or remove them from the probe')
        return self

    @model_validator(mode="after")
    def _has_a_speed_to_bound(self) -> Route:
        if not MODES[self.mode].generates and self.speed not in ("report", "off"):
            raise ValueError(f"`speed` is of routes that write text, and its mode is {self.mode}; remove it")
        return self
