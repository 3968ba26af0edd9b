"""Configurations inside files of other programs: Kubernetes, Helm, Compose, cloud-init."""

from __future__ import annotations

import base64

import pytest

from roles.lint import Finding, lint

_INSIDE = "model_list:\n  - model_name: a\n    litellm_params: {model: llama_cpp/x}\n"
_ONE_LINE = _INSIDE.replace("\n", "\\n")
_BASE64 = base64.b64encode(_INSIDE.encode()).decode()


def _lint(text: str) -> list[Finding]:
    return lint(text, version="1.106.2", environment=None, name="x.yaml")


def _indented(text: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in text.splitlines())


_MAP = "apiVersion: v1\nkind: ConfigMap\n"
_NGINX = f"{_MAP}data:\n  nginx.conf: |\n    server {{ listen 80; }}\n    location / {{}}\n"

WRAPPED = {
    "ConfigMap": (f"{_MAP}data:\n  config.yaml: |\n", 4),
    "Secret": ("apiVersion: v1\nkind: Secret\nstringData:\n  litellm.yaml: |-\n", 4),
    "values": ("replicaCount: 1\nproxy_config:\n", 2),
    "values of a part": ("litellm-helm:\n  proxy_config:\n", 4),
    "HelmRelease": ("kind: HelmRelease\napiVersion: helm/v2\nspec:\n  values:\n    proxy_config:\n", 6),
    "behind a Service": ("kind: Service\napiVersion: v1\n---\nkind: ConfigMap\napiVersion: v1\ndata:\n  c: |\n", 4),
    "list of objects": ("apiVersion: v1\nkind: List\nitems:\n- kind: ConfigMap\n  data:\n    c.yaml: |\n", 6),
    "behind another ConfigMap": (f"{_NGINX}---\n{_MAP}data:\n  config.yaml: |\n", 4),
    "beside another file": (f"{_NGINX}  config.yaml: |\n", 4),
    "beside a text about it": (f"{_MAP}data:\n  README.md: |\n    model_list:\n    - x: y: z\n  config.yaml: |\n", 4),
    "patch": ("- op: replace\n  path: /data/c\n  value: |\n", 4),
    "helmfile": ("releases:\n- name: x\n  values:\n  - proxy_config:\n", 6),
    "values two words down": ("ai:\n  gateway:\n    proxy_config:\n", 6),
    "values as a text": ("proxy_config: |\n", 2),
    "Argo CD, values as a text": (
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  source:\n    helm:\n      values: |\n"
        "        replicaCount: 1\n        proxy_config:\n",
        10,
    ),
    "Argo CD, values as a mapping": (
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  source:\n    helm:\n      valuesObject:\n"
        "        proxy_config:\n",
        10,
    ),
    "Compose, a config of its own": (
        "services:\n  litellm: {image: litellm}\nconfigs:\n  litellm:\n    content: |\n",
        6,
    ),
    "cloud-init": ("write_files:\n- path: /etc/litellm/config.yaml\n  content: |\n", 4),
    "Ansible": ("- hosts: all\n  tasks:\n  - copy:\n      dest: /etc/litellm.yaml\n      content: |\n", 8),
    "block with a number": (f"{_MAP}data:\n  config.yaml: |2\n", 4),
    "folded": (f"{_MAP}data:\n  config.yaml: >\n", 4),
    "comment before the block": (f"{_MAP}data:\n  # LiteLLM's\n  config.yaml: | # as it is\n", 4),
}
"""What stands before the configuration, and by how much that is indented."""


@pytest.mark.parametrize("name", WRAPPED)
def test_a_configuration_is_found_at_its_lines(name: str) -> None:
    head, by = WRAPPED[name]
    findings = _lint(head + _indented(_INSIDE, by))
    [wrapper] = [finding for finding in findings if finding.rule == "wrapped-configuration"]
    assert wrapper.message.startswith("this is a ")
    [provider] = [finding for finding in findings if finding.rule == "unknown-provider"]
    assert provider.line == head.count("\n") + 3


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f'{_MAP}data:\n  config.yaml: "{_ONE_LINE}"\n', 4),
        (f"apiVersion: v1\nkind: Secret\ndata:\n  config.yaml: {_BASE64}\n", 4),
        (f"{_MAP}binaryData:\n  config.yaml: {_BASE64}\n", 4),
        (f"{_MAP}data:\n  config.yaml: |\n{_indented(_INSIDE, 4)}".replace("\n", "\r\n"), 7),
    ],
    ids=["one line", "Secret's data", "binaryData", "CRLF"],
)
def test_a_configuration_in_another_form_is_found(text: str, line: int) -> None:
    [provider] = [finding for finding in _lint(text) if finding.rule == "unknown-provider"]
    assert provider.line == line


def test_a_broken_configuration_beside_a_good_one_is_reported() -> None:
    text = f"{_MAP}data:\n  a.yaml: |\n{_indented(_INSIDE, 4)}  b.yaml: |\n    model_list: [\n"
    assert [(finding.rule, finding.line) for finding in _lint(text)] == [("yaml-syntax", 10)]


def test_each_configuration_of_a_file_is_checked() -> None:
    text = f"{_MAP}data:\n  a.yaml: |\n{_indented(_INSIDE, 4)}  b.yaml: |\n{_indented(_INSIDE, 4)}"
    providers = [finding.line for finding in _lint(text) if finding.rule == "unknown-provider"]
    assert providers == [7, 11]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 1}\n", "a Kubernetes Deployment"),
        (f"{_MAP}data: {{A: b}}\n", "a Kubernetes ConfigMap"),
        ("services:\n  litellm: {image: litellm}\n", "a Docker Compose file"),
        (f'{_MAP}data:\n  config.yaml: ""\n', "a Kubernetes ConfigMap"),
        (f"{_MAP}data:\n", "a Kubernetes ConfigMap"),
        (_MAP, "a Kubernetes ConfigMap"),
        (
            "kind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1\nresources: [c.yaml]\n",
            "a Kubernetes Kustomization",
        ),
        ("replicaCount: 1\nproxy_config:\n", "a Helm chart's values"),
        (
            "replicaCount: 1\nproxyConfigMap: {name: own}\nmasterkeySecretName: x\n",
            "a Helm chart's values",
        ),
        ("services:\n  litellm: {build: .}\n", "a Docker Compose file"),
        ("include: [other.yaml]\nservices:\n  litellm: {image: litellm}\n", "a Docker Compose file"),
        ("apiVersion: v2\nname: litellm-helm\nversion: 0.1.2\n", "a Helm chart"),
    ],
    ids=[
        "Deployment",
        "ConfigMap",
        "Compose",
        "empty",
        "no data",
        "only a head",
        "Kustomization",
        "no value",
        "a map elsewhere",
        "build",
        "include",
        "chart",
    ],
)
def test_a_file_without_one_is_named(text: str, what: str) -> None:
    [finding] = _lint(text)
    assert finding.rule == "not-a-configuration"
    assert what in finding.message


@pytest.mark.parametrize(
    "text",
    [
        f"{_MAP}data:\n  config.yaml: |\n    model_list:\n\t- a\n",
        f"{_MAP}data:\n  config.yaml: |\n    model_list: [\n",
        "apiVersion: v1\nkind: Secret\ndata:\n  config.yaml: no*base64\n",
        "kind: ConfigMap\napiVersion: v1\ndata:\n  c.yaml: |\n{{ toYaml .Values.proxy_config | indent 4 }}\n",
    ],
    ids=["tab", "broken", "no base64", "template"],
)
def test_one_that_cannot_be_read_is_one_line(text: str) -> None:
    [finding] = [finding for finding in _lint(text) if finding.severity == "error"]
    assert finding.rule in ("yaml-syntax", "not-a-configuration")


def test_a_file_of_very_many_is_too_large() -> None:
    text = f"{_MAP}data:\n" + "".join(f"  c{number}: |\n    model_list: []\n" for number in range(3000))
    assert [finding.rule for finding in _lint(text)] == ["too-large"]
