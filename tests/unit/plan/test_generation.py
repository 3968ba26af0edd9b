"""Digests: what changes with what, and what does not."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import cast

import pytest
import yaml

from roles.contract.environment_file import environment_text
from roles.contract.recipes import PythonEnvRecipe
from roles.litellm import LiteLLM
from roles.options import EnvSecret, OptionsError, Stack
from roles.plan import DIGEST_VARIABLE, WATCH_TIMER, Generation, PlatformKey, Unit, resolve
from roles.plan.templates import systemd_quote
from roles.rooms import plan_of
from tests.stacks import BUILD, PLATFORM, native, no_secret, python, small_stack, user_scope

KEY = "sk-0123456789abcdef-top-secret"


def generation_of(stack: Stack, **platform: str) -> Generation:
    return resolve(plan_of(stack), {**PLATFORM, **cast("dict[PlatformKey, str]", platform)}, reveal=lambda _: KEY)


def changed_units(before: Generation, after: Generation) -> set[str]:
    return {unit for unit in before.unit_digests if before.unit_digests[unit] != after.unit_digests.get(unit)}


def test_the_same_stack_gives_the_same_bytes() -> None:
    assert generation_of(small_stack()) == generation_of(small_stack())


def test_changing_one_option_changes_that_unit_alone() -> None:
    before = generation_of(small_stack())
    after = generation_of(small_stack(providers=[native(context_size=4096), python()]))
    assert changed_units(before, after) == {"llama-server@native.service"}
    assert before.digest != after.digest


def test_another_comment_in_a_unit_file_changes_no_unit() -> None:
    plan = plan_of(small_stack())
    first = plan.units[0]
    reworded = replace(first, text=first.text.replace("\n[Service]\n", "\n[Service]\n# A new comment.\n; Another.\n\n"))
    other = replace(first, text=first.text.replace("\n[Service]\n", "\n[Service]\nNice=1\n"))
    before = resolve(plan, PLATFORM, reveal=lambda _: KEY)

    def after(unit: Unit) -> Generation:
        return resolve(replace(plan, units=(unit, *plan.units[1:])), PLATFORM, reveal=lambda _: KEY)

    assert before.digest != after(reworded).digest
    assert changed_units(before, after(reworded)) == set()
    assert changed_units(before, after(other)) == {first.name}


def test_changing_a_route_changes_the_gateway_alone() -> None:
    after = generation_of(small_stack(aliases={"gpt-5": "n"}))
    assert changed_units(generation_of(small_stack()), after) == {"litellm@a.service"}


def test_a_newer_python_makes_new_environments_and_keeps_the_build() -> None:
    before, after = generation_of(small_stack()), generation_of(small_stack(), python="3.13.5")
    assert before.links["install/llama-cpp"] == after.links["install/llama-cpp"]
    assert before.links["install/litellm"] != after.links["install/litellm"]
    assert changed_units(before, after) == {"litellm@a.service", "llama-cpp-python@python.service"}


def test_another_processor_makes_a_new_native_build_and_what_needs_it() -> None:
    before, after = generation_of(small_stack()), generation_of(small_stack(), cpu="1" * 16)
    moved = {name for name, folder in before.links.items() if after.links[name] != folder}
    assert moved == {"install/llama-cpp", "install/llama-cpp-python"}


def test_a_recipe_names_the_folders_of_what_it_needs_on_this_host() -> None:
    installs = {resolved.install.name: resolved for resolved in generation_of(small_stack()).installs}
    recipe = installs["llama-cpp-python"].recipe
    assert isinstance(recipe, PythonEnvRecipe)
    assert recipe.environment["LLAMA_CPP_LIB_PATH"] == f"{installs['llama-cpp'].folder}/bin"
    assert "@" not in "".join(recipe.environment.values())


def test_the_process_carries_its_units_digest() -> None:
    generation = generation_of(small_stack())
    digests = {unit: digest for unit, digest in generation.unit_digests.items() if unit != WATCH_TIMER}
    for unit, digest in digests.items():
        assert f"Environment={DIGEST_VARIABLE}={digest}\n" in generation.files[f"units/{unit}"].content.decode()


def test_a_secret_is_in_its_0600_file_and_nowhere_else() -> None:
    stack = small_stack(gateway=LiteLLM(instances=1, master_key=EnvSecret("LITELLM_MASTER_KEY")))
    plan = plan_of(stack)
    generation = resolve(plan, PLATFORM, reveal=lambda _: KEY)
    holders = [path for path, file in generation.files.items() if KEY.encode() in file.content]
    assert holders == ["env/ai-backend-front.service.env"]
    assert generation.files["env/ai-backend-front.service.env"].mode == 0o600
    assert KEY not in repr(plan)
    assert KEY not in repr(stack)


def test_another_key_of_the_clients_restarts_nothing_and_is_another_generation() -> None:
    plan = plan_of(small_stack(gateway=LiteLLM(instances=1, master_key=EnvSecret("LITELLM_MASTER_KEY"))))
    before = resolve(plan, PLATFORM, reveal=lambda _: KEY)
    after = resolve(plan, PLATFORM, reveal=lambda _: KEY + "2")
    assert changed_units(before, after) == set()
    assert before.digest != after.digest


def test_compiling_reads_no_secret() -> None:
    plan = plan_of(small_stack(gateway=LiteLLM(instances=1, master_key=EnvSecret("SURELY_NOT_SET"))))
    with pytest.raises(AssertionError, match="was read"):
        resolve(plan, PLATFORM, reveal=no_secret)


def test_every_environment_file_is_0600_and_nothing_else_is_hidden() -> None:
    stack = small_stack(gateway=LiteLLM(instances=1, master_key=EnvSecret("LITELLM_MASTER_KEY")))
    modes = {path: file.mode for path, file in generation_of(stack).files.items()}
    assert {path for path, mode in modes.items() if mode == 0o600} == {"env/ai-backend-front.service.env"}


def test_an_alias_gets_the_fallbacks_of_its_route() -> None:
    config = yaml.safe_load(plan_of(small_stack()).files["litellm-unified.yaml"])
    assert config["router_settings"]["fallbacks"] == [{"n": ["p"]}, {"gpt-4o": ["p"]}]
    assert config["router_settings"]["model_group_alias"] == {"gpt-4o": "n"}


def test_the_three_files_agree_on_who_answers() -> None:
    files = plan_of(small_stack()).files
    config = yaml.safe_load(files["litellm-unified.yaml"])
    mappings = yaml.safe_load(files["model-mappings.yaml"])
    providers = {entry["name"]: entry for entry in yaml.safe_load(files["providers.yaml"])["providers"]}
    in_config = {entry["model_info"]["id"]: entry["litellm_params"]["api_base"] for entry in config["model_list"]}
    in_mappings = {d["id"]: d["api_base"] for model in mappings["models"] for d in model["deployments"]}
    assert in_config == in_mappings
    for model in mappings["models"]:
        for deployment in model["deployments"]:
            # One of LiteLLM's prefixes adds the version to the address itself.
            assert providers[deployment["provider"]]["api_base"].removesuffix("/v1") in deployment["api_base"]


def test_the_same_name_for_two_builds_is_refused() -> None:
    other = BUILD.model_copy(update={"native": False})
    with pytest.raises(OptionsError, match='two different installs are called "llama-cpp"'):
        plan_of(small_stack(providers=[native(), python(build=other)]))


def test_in_user_scope_everything_lies_below_the_users_home() -> None:
    plan = plan_of(small_stack(scope=user_scope()))
    for unit in plan.units:
        paths = re.findall(r"(?<![\w:/.])/(?:etc|opt|var)/[^\s]*", unit.text)
        assert paths == []
        assert "DynamicUser" not in unit.text
        assert ("WantedBy=default.target" in unit.text) == (unit.kind != "triggered")


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        'a"b',
        pytest.param("a\\b", id="a backslash"),
        "a$b",
        "a`b`",
        "a b;c|d",
        pytest.param("ünï", id="not ASCII"),
        "%n",
    ],
)
def test_an_environment_file_holds_any_value(value: str) -> None:
    # systemd reads these quotes as a POSIX shell does (systemd.exec(5)), and so does shlex.
    assert shlex.split(environment_text({"NAME": value}).replace("\\$", "$").replace("\\`", "`")) == [f"NAME={value}"]


@pytest.mark.parametrize(
    ("argument", "quoted"),
    [
        ("--port", "--port"),
        ("/etc/x.yaml", "/etc/x.yaml"),
        ("llama3.1:latest", "llama3.1:latest"),
        ("100%", "100%%"),
        ("$HOME", "$$HOME"),
        ("two words", '"two words"'),
        pytest.param('say "hi"', '"say \\"hi\\""', id="quotes"),
        pytest.param("", '""', id="empty"),
    ],
)
def test_an_exec_start_argument_arrives_as_it_was_written(argument: str, quoted: str) -> None:
    assert systemd_quote(argument) == quoted
