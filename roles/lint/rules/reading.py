"""Rules about the file itself: can it be read, and read completely?"""

from __future__ import annotations

from collections.abc import Iterator

from roles.lint.config import Config
from roles.lint.known import parse_version
from roles.lint.rule import Found, rule

UNREADABLE = frozenset(
    {"unreadable-file", "yaml-syntax", "too-large", "empty-file", "not-a-mapping", "not-a-configuration"}
)
"""After one of these there is nothing left to check."""

_COMPROMISED = ((1, 82, 7), (1, 82, 8))
_OLDEST_SAFE = (1, 84, 0)


def problems(config: Config, rule_id: str) -> Iterator[Found]:
    """What was found while the file was read."""
    for problem in config.document.problems:
        if problem.rule == rule_id:
            yield Found(problem.place, problem.message, problem.fix)


@rule("error", fix="name a file that this user can read", source="the file's system; LiteLLM does not start either")
def unreadable_file(config: Config) -> Iterator[Found]:
    """A file that was named is not there, is no file, may not be read, or is no UTF-8. Other files are checked."""
    yield from problems(config, "unreadable-file")


@rule("error", fix="fix the YAML at this line", source="tried with 1.106.2: the start fails")
def yaml_syntax(config: Config) -> Iterator[Found]:
    """The file is no YAML that LiteLLM can read: syntax, two documents, an unknown tag, an anchor within itself."""
    yield from problems(config, "yaml-syntax")


@rule(
    "error",
    fix="split it, and check the parts",
    source="a limit of the lint: 16 MiB with all includes, a million values",
)
def too_large(config: Config) -> Iterator[Found]:
    """The file is larger than the lint reads, or its anchors expand to more."""
    yield from problems(config, "too-large")


@rule("error", fix="write at least a `model_list`", source="tried with 1.106.2: the start fails")
def empty_file(config: Config) -> Iterator[Found]:
    """The file is empty, or has comments only."""
    yield from problems(config, "empty-file")


@rule(
    "error",
    fix="begin with sections: `model_list:`, `general_settings:`",
    source="tried with 1.106.2: the start fails",
)
def not_a_mapping(config: Config) -> Iterator[Found]:
    """The file is a list or a word instead of sections."""
    yield from problems(config, "not-a-mapping")


@rule("error", fix="check the file that LiteLLM gets", source="tried with 1.106.2: it starts without any model")
def not_a_configuration(config: Config) -> Iterator[Found]:
    """The file is another program's (Kubernetes, Docker Compose) without a configuration of LiteLLM, or is included."""
    yield from problems(config, "not-a-configuration")


@rule("warning", fix="check the file that LiteLLM gets", source="a help of the lint: LiteLLM itself unwraps nothing")
def wrapped_configuration(config: Config) -> Iterator[Found]:
    """The configuration stands in a Kubernetes object or in a Helm chart's values: it is taken out and checked."""
    yield from problems(config, "wrapped-configuration")


@rule("error", fix="join the two, or remove one", source="tried with 1.106.2: the last one wins, in silence")
def duplicate_key(config: Config) -> Iterator[Found]:
    """A key stands twice in one mapping: what stands under the first is lost."""
    yield from problems(config, "duplicate-key")


@rule(
    "warning",
    fix="look at the whole: `ai-backend-lint FILE` follows `include`",
    source="a limit of the lint: 16 MiB, 100 files; or it is given a text and no way to read other files",
)
def include_not_followed(config: Config) -> Iterator[Found]:
    """`include` names files that were not read: rules about missing names are left out."""
    yield from problems(config, "include-not-followed")


@rule(
    "error",
    fix="name a regular file; its path counts from the file that includes",
    source="tried with 1.106.2: the start fails; of a device, it reads for ever",
)
def include_missing(config: Config) -> Iterator[Found]:
    """An included file does not exist, is no regular file, or cannot be read."""
    yield from problems(config, "include-missing")


@rule(
    "error",
    fix="use 1.84.0 or newer",
    source="CVE-2026-42271, CVE-2026-47101, CVE-2026-49468; BerriAI/litellm issue 24512",
    versions="1.82.7, 1.82.8; below 1.84.0",
)
def unsafe_release(config: Config) -> Iterator[Found]:
    """The release of LiteLLM steals credentials (1.82.7, 1.82.8), or can be entered without a key (below 1.84.0)."""
    if config.version[:3] in _COMPROMISED:
        yield Found((), f"LiteLLM {config.version_text} steals credentials: it was published by intruders")
    elif config.version < _OLDEST_SAFE:
        yield Found((), f"LiteLLM {config.version_text} has known holes, one of which lets callers in without a key")


@rule(
    "warning",
    fix="make its list with `tests/litellm_keys.py`, or read findings about keys with care",
    source="a limit of the lint: its lists belong to single releases",
    versions="those without a list of their own",
)
def unknown_release(config: Config) -> Iterator[Found]:
    """The lint has no list of keys for this release: it takes that of the nearest older one, or of its oldest."""
    if config.version != parse_version(config.known.version):
        yield Found(
            (),
            f"the keys of LiteLLM {config.version_text} are not known here; those of {config.known.version} are taken",
        )
