"""Entries of the other sections at the top of the file, and of the file itself."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lint_corpus.entries import Entry

_MODEL = '{model_name: a, litellm_params: {model: openai/x, api_base: "http://127.0.0.1:9/v1", api_key: none}}'

ENTRIES: Mapping[str, Entry | str] = {
    "file-empty": Entry("", whole=True),
    "file-comments": Entry("# nothing\n", whole=True),
    "file-list": Entry("- a\n", whole=True),
    "file-word": Entry("hello\n", whole=True),
    "file-no-yaml": Entry("model_list: [\n", whole=True),
    "file-tab": Entry("model_list:\n\t- a\n", whole=True),
    "file-two-documents": Entry("model_list: []\n---\nmodel_list: []\n", whole=True),
    "file-duplicate": Entry("model_list: []\nlitellm_settings: {}\nmodel_list: []\n", breaks="the first is lost"),
    "file-config-map": Entry(
        f"apiVersion: v1\nkind: ConfigMap\ndata:\n  config.yaml: |\n    model_list: [{_MODEL}]\n",
        whole=True,
    ),
    "section-unknown": "zebra: {a: 1}",
    "section-misspelled": Entry(f"modle_list: [{_MODEL}]\n", breaks="it is not read"),
    "sections-below-a-word": Entry(
        f"litellm: {{model_list: [{_MODEL}], router_settings: {{num_retries: 1}}}}\n", breaks="they are not read"
    ),
    "include": Entry("include: [more.yaml]\n", files={"more.yaml": f"model_list: [{_MODEL}]\n"}),
    "include-missing": "include: [none.yaml]\n",
    "include-word": "include: more.yaml\n",
    "include-itself": "include: [config.yaml]\n",
    "include-empty": Entry("include: [more.yaml]\n", files={"more.yaml": ""}),
    "prompts": """
prompts:
  - prompt_id: p
    litellm_params: {prompt_id: p, prompt_integration: dotprompt, dotprompt_content: Hi}
""",
    "prompts-mapping": "prompts: {p: {litellm_params: {prompt_integration: dotprompt}}}\n",
    "prompts-without-id": "prompts: [{litellm_params: {prompt_integration: dotprompt, prompt_id: p}}]\n",
    "prompts-without-params": "prompts: [{prompt_id: p}]\n",
    "prompts-integration-unknown": (
        "prompts: [{prompt_id: p, litellm_params: {prompt_id: p, prompt_integration: zebra}}]\n"
    ),
    "vector-stores": """
vector_store_registry:
  - {vector_store_name: v, litellm_params: {vector_store_id: vs_1, custom_llm_provider: openai}}
""",
    "vector-stores-mapping": "vector_store_registry: {v: {}}\n",
    "vector-stores-without-id": (
        "vector_store_registry: [{vector_store_name: v, litellm_params: {custom_llm_provider: openai}}]\n"
    ),
    "vector-stores-without-params": "vector_store_registry: [{vector_store_name: v}]\n",
    "vector-stores-word": "vector_store_registry: [v]\n",
    "credentials-mapping": "credential_list: {c: {}}\n",
    "credentials-without-name": "credential_list: [{credential_values: {api_key: k}, credential_info: {}}]\n",
    "credentials-without-info": "credential_list: [{credential_name: c, credential_values: {api_key: k}}]\n",
    "search-tools": """
search_tools: [{search_tool_name: s, litellm_params: {search_provider: tavily, api_key: k}}]
""",
    "search-tools-mapping": "search_tools: {s: {}}\n",
    "search-tools-without-name": Entry(
        "search_tools: [{litellm_params: {search_provider: tavily}}]\n", breaks="it is left out"
    ),
    "search-tools-without-params": Entry("search_tools: [{search_tool_name: s}]\n", breaks="it is left out"),
    "files": "files_settings: [{custom_llm_provider: openai, api_key: k}]\n",
    "files-mapping": "files_settings: {custom_llm_provider: openai}\n",
    "finetune": "finetune_settings: [{custom_llm_provider: openai, api_key: k}]\n",
    "finetune-mapping": "finetune_settings: {custom_llm_provider: openai}\n",
    "assistants": "assistant_settings: {custom_llm_provider: openai, litellm_params: {api_key: k}}\n",
    "assistants-without-params": "assistant_settings: {custom_llm_provider: openai}\n",
    "vertex": "default_vertex_config: {vertex_project: p, vertex_location: l}\n",
    "vertex-word": "default_vertex_config: p\n",
    "agents-mapping": "agents: {a: {}}\n",
    "agents-without-name": Entry("agents: [{litellm_params: {}}]\n", breaks="it is left out"),
    "policies": "policies: {p: {guardrails: {add: []}}}\n",
    "policies-list": "policies: [{p: {}}]\n",
    "workers": "worker_registry: [{worker_id: w, name: w, url: http://127.0.0.1:9}]\n",
    "callback-settings": "callback_settings: {otel: {message_logging: false}}\n",
}
