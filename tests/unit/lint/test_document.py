"""YAML as LiteLLM reads it, with lines, and one message for what is no YAML."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from roles.lint import lint
from roles.lint.document import Document, read_documents

_UNREADABLE = {
    "a tab": ("a:\n\t- b\n", "yaml-syntax", 2),
    "a tab that only the loader in C takes": ("a: {b: 1,\n\tc: 2}\n", "yaml-syntax", 2),
    "two documents": ("a: 1\n---\nb: 2\n", "yaml-syntax", 2),
    "an unknown tag": ("a: 1\nb: !vault x\n", "yaml-syntax", 2),
    "an unknown anchor": ("a: 1\nb: *c\n", "yaml-syntax", 2),
    "an anchor that holds itself": ("a: 1\nb: &b\n- *b\n", "yaml-syntax", 2),
    "a list as a key": ("a: 1\n[b]: 2\n", "yaml-syntax", 2),
    "a date that is none": ("a: 1\nb: 2024-13-45\n", "yaml-syntax", 2),
    "a control character": ("a: 1\nb: \x07\n", "yaml-syntax", 2),
    "half a surrogate pair": ("a: \ud800\n", "yaml-syntax", 1),
    "a merge of no mapping": ("a: 1\nb:\n  <<: 3\n", "yaml-syntax", 3),
    "too deep": ("a: " + "[" * 20_000, "yaml-syntax", 1),
    "nothing": ("", "empty-file", 1),
    "comments": ("# a\n# b\n", "empty-file", 1),
    "a null": ("~\n", "empty-file", 1),
    "a word": ("hello\n", "not-a-mapping", 1),
    "a list": ("# first\n- a\n", "not-a-mapping", 2),
}


def _read(text: str, files: dict[str, str] | None = None) -> Document:
    def read(name: str) -> str:
        if files is None or name not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[name]

    [document] = read_documents(text, "conf/main.yaml", read)
    return document


@pytest.mark.parametrize("case", _UNREADABLE)
def test_what_is_no_configuration_gives_one_finding(case: str) -> None:
    text, rule, line = _UNREADABLE[case]
    findings = lint(text, version="1.106.2", environment=None, name="x.yaml")
    assert [(finding.rule, finding.line) for finding in findings] == [(rule, line)]
    assert "\n" not in str(findings[0])


def test_anchors_that_expand_without_end_are_refused() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9))
    findings = lint(f"l0: &l0 [x]\n{levels}\n", version="1.106.2", environment=None, name="x.yaml")
    assert [finding.rule for finding in findings] == ["too-large"]
    assert "anchors" in findings[0].message


def test_merges_that_would_multiply_take_no_time() -> None:
    levels = "\n".join(f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 10)}], k{n}: 1}}" for n in range(1, 5))
    text = f"l0: &l0 {{k: 1}}\n{levels}\n"
    assert _read(text).value == yaml.safe_load(text)


def test_nesting_by_anchors_counts_too() -> None:
    levels = "\n".join(f"l{n}: &l{n} {'[' * 50}*l{n - 1}{']' * 50}" for n in range(1, 40))
    findings = lint(f"l0: &l0 [x]\n{levels}\n", version="1.106.2", environment=None, name="x.yaml")
    assert [finding.rule for finding in findings] == ["yaml-syntax"]
    assert "levels deep" in findings[0].message


def test_values_are_those_that_yaml_gives() -> None:
    text = """
    base: &base {model: openai/x, rpm: 0x10, when: 2024-01-02, on: yes, none: ~}
    model_list:
      - &entry {<<: *base, rpm: 3}
      - *entry
      - {<<: [{a: 1}, {a: 2, b: 2}]}
    1: 1.5
    set: !!set {a, b}
    """
    assert _read(text).value == yaml.safe_load(text)


def test_every_value_has_its_line() -> None:
    document = _read("a:\n  - b: 1\n    c:\n      - d\n      - e\n")
    assert document.place(("a", 0, "c", 1)).line == 5
    assert document.place(("a", 0, "b")).line == 2
    assert document.place(("a", 0, "c", 7, "deeper")).line == 3, "the nearest thing around it"


def test_of_two_equal_keys_the_last_one_counts() -> None:
    document = _read("a: {d: {e: 1}}\nc: 2\na:\n  d: 3\n")
    assert document.value == {"a": {"d": 3}, "c": 2}
    assert document.place(("a", "d")).line == 4
    assert document.place(("a", "d", "e")).line == 4, "what is lost has no place"
    assert [(problem.rule, problem.place.line) for problem in document.problems] == [("duplicate-key", 3)]


def test_a_key_beside_a_merge_is_no_duplicate() -> None:
    assert _read("base: &base {a: 1}\nother: &o {<<: *base, a: 2}\nagain: *o\n").problems == []


def test_included_lists_are_joined_and_other_values_replaced() -> None:
    files = {"conf/more.yaml": "model_list: [b]\nlitellm_settings:\n  y: 2\n"}
    document = _read("include: [more.yaml]\nmodel_list: [a]\nlitellm_settings:\n  x: 1\n", files)
    assert document.value["model_list"] == ["a", "b"]
    assert document.value["litellm_settings"] == {"y": 2}
    places = [document.place(path) for path in (("model_list", 0), ("model_list", 1), ("litellm_settings", "y"))]
    assert [(place.file, place.line) for place in places] == [
        ("conf/main.yaml", 2),
        ("conf/more.yaml", 1),
        ("conf/more.yaml", 3),
    ]


def test_includes_count_from_the_file_that_includes_else_from_the_first() -> None:
    files = {
        "conf/sub/one.yaml": "include: [two.yaml, three.yaml]\nmodel_list: [a]\n",
        "conf/sub/two.yaml": "include: [one.yaml]\nmodel_list: [b]\n",
        "conf/three.yaml": "model_list: [c]\n",
    }
    document = _read("include: [sub/one.yaml]\n", files)
    assert document.value["model_list"] == ["a", "b", "c"]
    assert document.problems == []


def test_a_broken_included_file_is_told_with_its_own_name() -> None:
    document = _read("include: [more.yaml, none.yaml]\nmodel_list: []\n", {"conf/more.yaml": "a: 1\nb: [\n"})
    assert [(problem.rule, problem.place.file) for problem in document.problems] == [
        ("yaml-syntax", "conf/more.yaml"),
        ("include-missing", "conf/main.yaml"),
    ]


def test_a_finding_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("model_list:\n  - model_name: a\n    litellm_params: {model: llama_cpp/x}\n")
    main = tmp_path / "main.yaml"
    text = "include: [models.yaml]\n"
    findings = lint(text, version="1.106.2", environment=None, name=str(main), read=lambda name: Path(name).read_text())
    [finding] = [finding for finding in findings if finding.rule == "unknown-provider"]
    assert (finding.file, finding.line) == (str(tmp_path / "models.yaml"), 3)
