"""Rules about routing: fallbacks and aliases without a target, or with another one than it seems."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from roles.lint.config import Chain, Config
from roles.lint.document import Path
from roles.lint.nearest import did_you_mean, nearest_name
from roles.lint.rule import Found, rule

_ALIASES: Path = ("router_settings", "model_group_alias")

_CYCLES_END = (1, 97, 0)

_TEXT_MODES = ("chat", "completion", "responses")
"""LiteLLM translates between these."""


def _did_you_mean(name: str, config: Config) -> Callable[[], str]:
    """Looked for when it is shown: with thousands of names it takes long."""

    def look() -> str:
        close = nearest_name(name, config.public_names)
        return did_you_mean(close)

    return look


@rule(
    "error", fix="name a model of `model_list` or an alias", source="tried with 1.106.2: it starts; the fallback fails"
)
def fallback_target_missing(config: Config) -> Iterator[Found]:
    """A fallback to a name that nothing answers to."""
    if not config.is_complete:
        return
    targets = [(chain.source, target, path) for chain in config.chains for target, path in chain.targets]
    targets += [("*", target, path) for target, path in config.default_fallbacks if path[1] == "default_fallbacks"]
    for source, target, path in targets:
        if not config.serves(target):
            of = "every model" if source == "*" else f'"{source}"'
            yield Found(path, f'{of} falls back to "{target}", which no model is named', _did_you_mean(target, config))


@rule("error", fix="name a model of `model_list` or an alias", source="read in 1.106.2 (get_fallback_model_group)")
def fallback_source_missing(config: Config) -> Iterator[Found]:
    """Fallbacks for a name that nothing answers to: they are never used."""
    if not config.is_complete:
        return
    for chain in config.chains:
        if chain.source != "*" and not _is_asked_for(chain.source, config):
            message = f'fallbacks of "{chain.source}", which no model is named: they are never used'
            yield Found(chain.path, message, _did_you_mean(chain.source, config))


def _is_asked_for(name: str, config: Config) -> bool:
    """Whether its fallbacks are used: LiteLLM looks them up by the requested name, with and without its provider."""
    return name in config.public_names or config.serves(name) or name in config.bare_names or config.has_patterns


@rule("error", fix="name another model", source="tried with 1.84.0 and 1.106.2: its own name is skipped")
def fallback_to_itself(config: Config) -> Iterator[Found]:
    """A model whose fallback is itself, by its own name or by an alias."""
    for chain in config.chains:
        for target, path in chain.targets:
            if chain.source != "*" and _route(target, config) == _route(chain.source, config):
                yield Found(path, f'"{chain.source}" falls back to itself: LiteLLM asks nobody else')


def _route(name: str, config: Config) -> str:
    return config.aliases.get(name, name)


@rule(
    "warning",
    fix="let one of them have no fallback, or use 1.97.0 or newer",
    source="tried with 1.84.0, 1.96.0, 1.97.0 and 1.106.2: two dead models that are each other's fallback",
    versions="below 1.97.0; since then no model is asked twice",
)
def fallback_cycle(config: Config) -> Iterator[Found]:
    """Models that fall back to each other: when all are dead, each request asks all of them again and again."""
    if config.version >= _CYCLES_END:
        return
    edges = {chain.source: [name for name, _ in chain.targets] for chain in config.chains if chain.kind == "fallbacks"}
    places = {chain.source: chain.path for chain in reversed(config.chains) if chain.kind == "fallbacks"}
    for cycle in _cycles(edges):
        message = f"fallbacks in a circle: {' -> '.join(cycle)}; a request asks dead models up to 5 times"
        yield Found(min((places[name] for name in cycle), key=lambda path: path[2]), message)


def _cycles(edges: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Ways from a name back to itself, over at least one other name; each name is looked at once."""
    done: set[str] = set()
    for start in edges:
        way: dict[str, Iterator[str]] = {} if start in done else {start: iter(edges[start])}
        while way:
            name, others = next(reversed(way.items()))
            other = next(others, None)
            if other is None:
                done.add(name)
                del way[name]
            elif other in way:
                names = [*way]
                if other != name:
                    yield [*names[names.index(other) :], other]
            elif other not in done and other in edges:
                way[other] = iter(edges[other])


@rule(
    "error",
    fix="keep one of the two",
    source="tried with 1.106.2: the second entry is never looked at",
)
def fallback_twice(config: Config) -> Iterator[Found]:
    """Two entries of one list for the same name: only the first counts."""
    first: dict[tuple[str, str, str], Chain] = {}
    for chain in config.chains:
        name = (chain.section, chain.kind, chain.source)
        # Of several "*", the last one counts.
        if name in first:
            counts = "last" if chain.source == "*" else "first"
            line = config.document.place(first[name].path).line
            yield Found(
                chain.path, f'"{chain.source}" has fallbacks on line {line} too: only the {counts} entry counts'
            )
        first.setdefault(name, chain)


@rule(
    "warning",
    fix="keep them in `router_settings`",
    source="read in 1.106.2: `fallbacks or litellm.fallbacks` (Router.__init__)",
)
def fallbacks_in_two_sections(config: Config) -> Iterator[Found]:
    """The same list of fallbacks in `router_settings` and in `litellm_settings`: the latter is ignored."""
    for kind in sorted({chain.kind for chain in config.chains}):
        if config.setting("router_settings", kind) and config.setting("litellm_settings", kind):
            message = f"`{kind}` stands in `router_settings` too: this one is ignored"
            yield Found(("litellm_settings", kind), message)


@rule("error", fix="name a model of `model_list`", source="tried with 1.106.2: it starts; the alias answers 400")
def alias_target_missing(config: Config) -> Iterator[Found]:
    """An alias of a name that nothing answers to. A deployment's id does not count: an alias needs a model's name."""
    if not config.is_complete:
        return
    for alias, target in config.aliases.items():
        if target not in config.aliases and not _is_model(target, config):
            message = f'alias "{alias}" stands for "{target}", which no model is named'
            yield Found((*_ALIASES, alias), message, _did_you_mean(target, config))


def _is_model(name: str, config: Config) -> bool:
    return name in config.public_names or (config.serves(name) and name not in config.ids)


@rule("error", fix="let it name the model itself", source="tried with 1.106.2: one hop only; the alias answers 400")
def alias_chain(config: Config) -> Iterator[Found]:
    """An alias of an alias, where no model has that name."""
    for alias, target in config.aliases.items():
        if target in config.aliases and target not in config.groups:
            end = _route(target, config)
            fix = f'write "{end}"' if end in config.groups else ""
            message = f'alias "{alias}" stands for the alias "{target}": LiteLLM follows one alias only'
            yield Found((*_ALIASES, alias), message, fix)


@rule("error", fix="rename the alias or the model", source="tried with 1.106.2: the alias wins, in silence")
def alias_shadows_model(config: Config) -> Iterator[Found]:
    """An alias with the name of a model: the model cannot be reached."""
    for alias, target in config.aliases.items():
        if alias in config.groups and target != alias:
            message = f'alias "{alias}" has the name of a model: requests for it go to "{target}"'
            yield Found((*_ALIASES, alias), message)


@rule(
    "warning",
    fix="add an entry for the alias",
    source="tried with 1.106.2: fallbacks are looked up by the name that was asked for",
)
def alias_without_fallbacks(config: Config) -> Iterator[Found]:
    """An alias of a model that has fallbacks: asked by the alias, it has none of them."""
    effective: dict[str, dict[str, Chain]] = defaultdict(dict)
    for chain in config.chains:
        if chain.section == "router_settings" or not config.setting("router_settings", chain.kind):
            effective[chain.source].setdefault(chain.kind, chain)
    for alias, target in config.aliases.items():
        if alias in config.groups or target not in effective:
            continue
        for kind, chain in effective[target].items():
            if kind not in effective.get(alias, {}):
                names = ", ".join(f'"{name}"' for name, _ in chain.targets)
                message = f'alias "{alias}" does not inherit the {kind} of "{target}" ({names})'
                yield Found((*_ALIASES, alias), message, f'add "{alias}" to `{chain.section}.{kind}`')


@rule(
    "error",
    fix="name a model with a larger context",
    source="a request that is too long for the one is too long for the other",
)
def context_fallback_no_larger(config: Config) -> Iterator[Found]:
    """A context-window fallback to a model that declares no larger `max_input_tokens`."""
    for chain, target, path in _targets_of(config, "context_window_fallbacks"):
        sizes = _contexts(chain.source, config), _contexts(target, config)
        if sizes[0] and sizes[1] and max(sizes[1]) <= min(sizes[0]):
            message = (
                f'"{chain.source}" ({min(sizes[0])} tokens) falls back to "{target}" ({max(sizes[1])}) when too long'
            )
            yield Found(path, message)


@rule(
    "warning",
    fix="declare a context-window fallback too, or keep clients below the smaller size",
    source="the declared sizes; LiteLLM does not look at them before it falls back",
)
def fallback_smaller_context(config: Config) -> Iterator[Found]:
    """A general fallback to a model that declares a smaller `max_input_tokens`: long requests fail there."""
    for chain, target, path in _targets_of(config, "fallbacks"):
        sizes = _contexts(chain.source, config), _contexts(target, config)
        if sizes[0] and sizes[1] and max(sizes[1]) < min(sizes[0]):
            message = f'"{chain.source}" ({min(sizes[0])} tokens) falls back to "{target}" ({max(sizes[1])})'
            yield Found(path, f"{message}: long requests fail there")


def _targets_of(config: Config, kind: str) -> Iterator[tuple[Chain, str, Path]]:
    for chain in config.chains:
        if chain.kind == kind:
            for target, path in chain.targets:
                yield chain, target, path


def _contexts(name: str, config: Config) -> list[int]:
    """The context sizes that the deployments of a name declare; none if one of them declares none."""
    sizes = [model.context for model in config.groups.get(_route(name, config), ())]
    return [size for size in sizes if size is not None] if None not in sizes else []


@rule(
    "error",
    fix="give each model its own `id`",
    source="tried with 1.106.2: it starts; answers and health of both are booked on one",
)
def duplicate_model_id(config: Config) -> Iterator[Found]:
    """Two deployments with one `model_info.id`."""
    first: dict[str, int] = {}
    for model in config.models:
        if "id" not in model.info:
            continue
        name, path = str(model.info["id"]), (*model.path, "model_info", "id")
        line = config.document.place(path).line
        if name in first:
            yield Found(
                path, f'the id "{name}" is taken on line {first[name]}: cooldowns, limits and spend of both mix'
            )
        first.setdefault(name, line)


@rule(
    "error",
    fix="give them two names",
    source="read in 1.106.2: deployments of one name share all its requests, whatever their mode",
)
def modes_differ(config: Config) -> Iterator[Found]:
    """Deployments of one name that declare different modes (chat, embedding): each gets requests for the other."""
    for name, models in config.groups.items():
        first = next((model for model in models if model.mode), None)
        for model in models:
            if first and model.mode and _family(model.mode) != _family(first.mode):
                message = f'"{name}" has deployments of mode {first.mode} and of mode {model.mode}'
                yield Found((*model.path, "model_info", "mode"), f"{message}: requests of either go to both")


def _family(mode: str) -> str:
    return "text" if mode in _TEXT_MODES else mode
