"""The key of a server: where it lies, and where not."""

from __future__ import annotations

import pytest

from roles.options import EnvSecret, Provider
from tests.llama_cpp_plans import PYTHON_FILE, generation_of, plan_of, several
from tests.stacks import native, python, vllm


def test_a_key_is_in_the_environment_file_alone() -> None:
    provider = native(api_key=EnvSecret("NATIVE_KEY"))
    generation = generation_of(provider)
    holders = [path for path, file in generation.files.items() if b"sk-secret" in file.content]
    # The second is the gateway's, which sends it.
    assert sorted(holders) == ["env/litellm@a.service.env", "env/llama-server@native.service.env"]
    assert b'LLAMA_API_KEY="sk-secret"' in generation.files["env/llama-server@native.service.env"].content
    assert {generation.files[path].mode for path in holders} == {0o600}


def test_a_file_of_models_holds_no_key() -> None:
    generation = generation_of(several(api_key=EnvSecret("PYTHON_KEY")))
    assert b"sk-secret" not in generation.files[PYTHON_FILE].content
    assert b'API_KEY="sk-secret"' in generation.files["env/llama-cpp-python@python.service.env"].content


@pytest.mark.parametrize(
    ("provider", "unit", "variable"),
    [
        pytest.param(native(), "llama-server@native", "LLAMA_API_KEY", id="native"),
        pytest.param(python(), "llama-cpp-python@python", "API_KEY", id="python"),
        pytest.param(vllm(name="qwen-coder"), "vllm@qwen-coder", "VLLM_API_KEY", id="vllm"),
    ],
)
def test_a_backend_asks_for_a_key_that_the_host_makes_unless_one_is_given(
    provider: Provider, unit: str, variable: str
) -> None:
    """One file, with the name by which the backend takes it and the one by which the gateway does."""
    plan = plan_of(provider)
    users = [each for each in plan.units if each.name == f"{unit}.service" or each.name.startswith("litellm")]
    sent_as = f"{provider.name.upper().replace('-', '_')}_API_KEY"
    (key,) = [secret for secret in plan.generated_secrets if secret.variable == variable]
    assert (key.path, key.also) == (f"/var/lib/ai-backend/secrets/{unit}.env", sent_as)
    assert len(users) == 2
    assert all(f"\nEnvironmentFile={key.path}\n" in each.text for each in users)
    assert f"api_key: os.environ/{sent_as}\n" in plan.files["litellm-unified.yaml"]
    assert f"{variable}=" not in "".join(each.text for each in plan.units)
