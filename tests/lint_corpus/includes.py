"""Entries of `include`."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lint_corpus.entries import Entry

_SETTINGS = "litellm_settings: {drop_params: true, request_timeout: 60}\n"
_MODELS = (
    "model_list:\n"
    '  - {model_name: b, litellm_params: {model: openai/y, api_base: "http://127.0.0.1:9/v1", api_key: none}}\n'
)


def _with(include: str, **files: str) -> Entry:
    """A file that includes others; a name in `files` is that of the file without `.yaml`."""
    return Entry(f"include: {include}\n", files={f"{name}.yaml": text for name, text in files.items()})


ENTRIES: Mapping[str, Entry | str] = {
    "models": _with("[more.yaml]", more=_MODELS),
    "settings": _with("[more.yaml]", more=_SETTINGS),
    "itself": _with("[config.yaml]"),
    "each-other": _with("[more.yaml]", more=f"include: [config.yaml]\n{_MODELS}"),
    "two-each-other": _with("[b.yaml]", b=f"include: [c.yaml]\n{_MODELS}", c="include: [b.yaml]\n"),
    "twice": _with("[more.yaml, ./more.yaml]", more=_MODELS),
    "word": _with("more.yaml", more=_MODELS),
    "nothing": _with(""),
    "empty-list": _with("[]"),
    "number": _with("[1]"),
    "empty-name": _with('[""]'),
    "folder": _with("[.]"),
    "missing": _with("[none.yaml]"),
    "missing-in-included": _with("[more.yaml]", more="include: [none.yaml]\n"),
    "pattern": _with('["*.yaml"]', more=_MODELS),
    "home": _with('["~/more.yaml"]', more=_MODELS),
    "variable": _with('["${FOLDER}/more.yaml"]', more=_MODELS),
    "reference": Entry("include: [os.environ/MORE]\n", environment={"MORE": "more.yaml"}, files={"more.yaml": _MODELS}),
    "address": _with('["https://127.0.0.1:9/more.yaml"]'),
    "device-empty": _with("[/dev/null]"),
    "null-character": _with("[more.yaml]", more="litellm_settings: {a: \0}\n"),
    "null-in-name": _with('["more\\0.yaml"]', more=_MODELS),
    "list": _with("[more.yaml]", more="- a\n"),
    "word-inside": _with("[more.yaml]", more="just a word\n"),
    "empty-file": _with("[more.yaml]", more=""),
    "comments": _with("[more.yaml]", more="# nothing\n"),
    "two-documents": _with("[more.yaml]", more=f"{_MODELS}---\n{_SETTINGS}"),
    "broken": _with("[more.yaml]", more="model_list: [\n"),
    "shape-inside": _with("[more.yaml]", more="include: more.yaml\n"),
    "json": Entry("include: [more.json]\n", files={"more.json": '{"litellm_settings": {"request_timeout": 60}}'}),
    "chain": _with(
        "[n0.yaml]",
        **{f"n{number}": f"include: [n{number + 1}.yaml]\n" for number in range(119)},
        n119=_MODELS,
    ),
    "many": _with(f"[{', '.join(f'm{number}.yaml' for number in range(150))}]", **{f"m{n}": "" for n in range(150)}),
    "replaces-settings": _with("[more.yaml]", more="general_settings: {}\n"),
    "wrapped": Entry(
        "include: [more.yaml]\n",
        files={"more.yaml": "kind: ConfigMap\napiVersion: v1\ndata:\n  c: |\n    model_list: []\n"},
        breaks="LiteLLM gets the wrapper's own keys",
    ),
}
