"""Rules about lists of things beside models: credentials, teams, prompts, vector stores, tools, agents, policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from roles.lint.config import REFERENCE, Config
from roles.lint.document import Path, mapping
from roles.lint.nearest import choose
from roles.lint.rule import Found, rule
from roles.lint.rules.shapes import KINDS, kind
from roles.lint.section_facts import facts_of

_STOPS = "LiteLLM does not start"


@dataclass(frozen=True)
class _Listing:
    """A list of mappings that LiteLLM checks when it starts.

    Attributes:
        path: where it stands.
        needed: path in an entry → the type that it must have; a missing or wrong one stops the start.
        dropped: path in an entry without which LiteLLM leaves the entry out.
        lenient: whether a wrong entry is passed over.
    """

    path: tuple[str, ...]
    needed: Mapping[tuple[str, ...], type]
    dropped: tuple[tuple[str, ...], ...] = ()
    lenient: bool = False


_LISTINGS = (
    _Listing(
        ("credential_list",), {("credential_name",): str, ("credential_values",): dict, ("credential_info",): dict}
    ),
    _Listing(("litellm_settings", "default_team_settings"), {("team_id",): str}),
    _Listing(
        ("prompts",),
        {("prompt_id",): str, ("litellm_params",): dict, ("litellm_params", "prompt_integration"): str},
    ),
    _Listing(
        ("vector_store_registry",),
        {
            ("litellm_params",): dict,
            ("litellm_params", "vector_store_id"): object,
            ("litellm_params", "custom_llm_provider"): object,
        },
    ),
    _Listing(("search_tools",), {}, (("search_tool_name",), ("litellm_params", "search_provider"))),
    _Listing(("general_settings", "search_tools"), {}, (("search_tool_name",), ("litellm_params", "search_provider"))),
    _Listing(("agents",), {}, (("agent_name",), ("agent_card_params",))),
    _Listing(("agent_list",), {}, (("agent_name",), ("agent_card_params",))),
    _Listing(("mcp_tools",), {}, (("name",), ("description",), ("handler",))),
    _Listing(("sandbox_tools",), {}, (("sandbox_tool_name",), ("litellm_params", "sandbox_provider")), lenient=True),
    _Listing(("general_settings", "pass_through_endpoints"), {("path",): str}, (("target",),)),
    _Listing(("policy_attachments",), {}, (("policy",),)),
    _Listing(("finetune_settings",), {}, (("custom_llm_provider",),), lenient=True),
    _Listing(("files_settings",), {}, (("custom_llm_provider",),), lenient=True),
)


def _at(value: object, path: tuple[str, ...]) -> Any:
    for key in path:
        value = mapping(value).get(key)
    return value


def _listings(config: Config) -> Iterator[tuple[_Listing, Any]]:
    """The listings that the file has, and that the release reads."""
    for listing in _LISTINGS:
        home = config.known.top if len(listing.path) == 1 else getattr(config.known, listing.path[0])
        value = _at(config.document.value, listing.path)
        if value is not None and listing.path[-1] in home and not _unread(listing, config):
            yield listing, value


def _unread(listing: _Listing, config: Config) -> bool:
    """`policy_attachments` is read with `policies` alone."""
    return listing.path == ("policy_attachments",) and not config.document.value.get("policies")


def _name(listing: _Listing) -> str:
    return f"`{listing.path[-1]}`"


@rule(
    "error",
    fix="give it what it lacks",
    source="tried with 1.84.0 and 1.106.2, each of them",
    versions="by release: a section that the release does not read is left out",
)
def entry_shape(config: Config) -> Iterator[Found]:
    """A list of credentials, teams, prompts, vector stores, tools, agents or endpoints is none, or lacks a part."""
    for listing, value in _listings(config):
        if not isinstance(value, list):
            # An empty mapping or word is passed over.
            if value and not (listing.lenient and listing.path[0] == "sandbox_tools"):
                outcome = _STOPS if listing.path[-1] != "pass_through_endpoints" else "LiteLLM ignores it"
                message = f"{_name(listing)} must be a list, not {kind(value)}: {outcome}"
                yield Found(listing.path, message, "write a list of mappings: `- …`")
            continue
        for index, entry in enumerate(value):
            path: Path = (*listing.path, index)
            if not isinstance(entry, dict):
                if not listing.lenient:
                    message = f"an entry of {_name(listing)} must be a mapping, not {kind(entry)}: {_STOPS}"
                    yield Found(path, message, "write its keys below it")
                continue
            yield from _lacking(listing, entry, path)


def _lacking(listing: _Listing, entry: Mapping[Any, Any], path: Path) -> Iterator[Found]:
    for needed, wanted in listing.needed.items():
        holder, given = _at(entry, needed[:-1]), _at(entry, needed)
        if not isinstance(holder, dict) or (isinstance(given, wanted) and given is not None):
            continue
        name = ".".join(needed)
        if given is None:
            what = f"an entry of {_name(listing)} has no `{name}`: {_STOPS}"
            yield Found(path, what, "write `credential_info: {}`" if name == "credential_info" else f"write `{name}`")
        else:
            what = f"`{name}` must be {KINDS[wanted]}, not {kind(given)}: {_STOPS}"
            yield Found((*path, *needed), what, "put it in quotes" if wanted is str else "write a mapping")


@rule(
    "error",
    fix="give it what it lacks",
    source="tried with 1.106.2: it starts, without a word, and without the entry",
    versions="by release",
)
def entry_dropped(config: Config) -> Iterator[Found]:
    """An entry of agents, tools or endpoints lacks a part: LiteLLM leaves it out."""
    for listing, value in _listings(config):
        for index, entry in enumerate(value if isinstance(value, list) else ()):
            if not isinstance(entry, dict):
                if listing.lenient:
                    yield Found(
                        (*listing.path, index), f"an entry of {_name(listing)} must be a mapping: LiteLLM drops it"
                    )
                continue
            for part in listing.dropped:
                if not _at(entry, part):
                    message = f"an entry of {_name(listing)} has no `{'.'.join(part)}`: LiteLLM leaves it out"
                    yield Found((*listing.path, index), message, f"write `{'.'.join(part)}`")


@rule("error", fix="write one that LiteLLM has", source="tried with 1.106.2", versions="by release")
def entry_word(config: Config) -> Iterator[Found]:
    """A word in one of these lists that is none that LiteLLM has: a kind of prompts, a provider of searches."""
    facts = facts_of(config.version_text)
    kinds = {
        "prompts": (facts.prompt_integrations, ("litellm_params", "prompt_integration"), _STOPS),
        "search_tools": (facts.search_providers, ("litellm_params", "search_provider"), "each search fails"),
    }
    for listing, value in _listings(config):
        if listing.path[-1] not in kinds:
            continue
        words, part, outcome = kinds[listing.path[-1]]
        if listing.path == ("prompts",):
            yield from _prompts_of_folders(value)
        for index, entry in enumerate(value if words and isinstance(value, list) else ()):
            word = _at(entry, part)
            if isinstance(word, str) and word not in words and not word.startswith(REFERENCE):
                yield Found(
                    (*listing.path, index, *part), f'LiteLLM has no {part[-1]} "{word}": {outcome}', choose(word, words)
                )


def _prompts_of_folders(prompts: object) -> Iterator[Found]:
    for index, entry in enumerate(prompts if isinstance(prompts, list) else ()):
        params = mapping(mapping(entry).get("litellm_params"))
        if params.get("prompt_integration") == "dotprompt" and params.get("prompt_directory"):
            message = f"a prompt of dotprompt takes one file and no `prompt_directory`: {_STOPS}"
            fix = "write `prompt_file`, or `litellm_settings.global_prompt_directory` for a folder"
            yield Found(("prompts", index, "litellm_params", "prompt_directory"), message, fix)


@rule("error", fix="add it to `credential_list`, or correct the name", source="tried with 1.106.2: it starts")
def credential_missing(config: Config) -> Iterator[Found]:
    """`litellm_credential_name` of a model names no entry of `credential_list`."""
    if "credential_list" not in config.document.value or config.document.unread or config.is_in_database:
        return
    credentials = config.document.value["credential_list"]
    names = {
        str(mapping(entry).get("credential_name")) for entry in (credentials if isinstance(credentials, list) else ())
    }
    for model in config.models:
        name = model.params.get("litellm_credential_name")
        if isinstance(name, str) and name not in names and not name.startswith(REFERENCE):
            path = model.parameter("litellm_credential_name")
            message = f'{model.title}: "{name}" is not in `credential_list`: it is asked without a key'
            yield Found(path, message, choose(name, names) if names else "")


@rule("error", fix="write a mapping of names to policies", source="tried with 1.106.2", versions="by release")
def policy_shape(config: Config) -> Iterator[Found]:
    """`policies` is no mapping of mappings, or a policy inherits from none that is there."""
    policies = config.document.value.get("policies")
    if not policies or "policies" not in config.known.top:
        return
    if not isinstance(policies, dict):
        yield Found(("policies",), f"`policies` must be a mapping, not {kind(policies)}: {_STOPS}")
    for name, policy in mapping(policies).items():
        path: Path = ("policies", name)
        if not isinstance(policy, dict):
            yield Found(path, f'policy "{name}" must be a mapping, not {kind(policy)}: {_STOPS}')
            continue
        parent = policy.get("inherit")
        if parent is not None and str(parent) not in map(str, policies):
            message = f'policy "{name}" inherits from "{parent}", which is not there: {_STOPS}'
            yield Found(
                (*path, "inherit"), message, choose(parent, [str(other) for other in policies if other != name])
            )
        for part in ("add", "remove"):
            given = mapping(policy.get("guardrails")).get(part)
            if given is not None and not isinstance(given, list):
                message = f"`guardrails.{part}` must be a list, not {kind(given)}: {_STOPS}"
                yield Found((*path, "guardrails", part), message, f"write `{part}: [NAME]`")


@rule(
    "warning",
    fix="write `policy_attachments: [{policy: NAME, scope: '*'}]`",
    source='tried with 1.106.2: "Policies will not be applied to any requests"',
    versions="by release",
)
def policy_unattached(config: Config) -> Iterator[Found]:
    """A policy, or an attachment of one, that applies to nothing."""
    policies = mapping(config.document.value.get("policies"))
    attachments = config.document.value.get("policy_attachments")
    if "policies" not in config.known.top or config.document.unread:
        return
    if policies and not attachments:
        yield Found(("policies",), "`policies` without `policy_attachments`: they apply to no request")
    if attachments and not policies:
        message = "`policy_attachments` without `policies`: LiteLLM reads none of them"
        yield Found(("policy_attachments",), message, "add `policies`, or remove them")
    for index, entry in enumerate(attachments if policies and isinstance(attachments, list) else ()):
        name = mapping(entry).get("policy")
        if isinstance(name, str) and name not in policies:
            message = f'there is no policy "{name}": this applies to no request'
            yield Found(("policy_attachments", index, "policy"), message, choose(name, [str(one) for one in policies]))
