"""Ollama's part of a host plan: the server, and the task that brings its models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files

from roles.contract.abilities import Abilities
from roles.contract.manifest import KeptModel, ModelList, Traits
from roles.ollama.memory import loads_of
from roles.ollama.options import Ollama, OllamaModel, OllamaRelease
from roles.options import HostFile
from roles.plan import (
    GATEWAY_USER,
    LOADER_USER,
    MEGABYTE,
    Archive,
    CardNeeds,
    Dialect,
    HostContext,
    Install,
    Json,
    Pins,
    PulledModel,
    ReleaseRecipe,
    ServicePlan,
    TaskUnit,
    host_models,
    model_install,
    model_path,
    provider_plan,
    runtime_folder,
    unit_file,
)

TRAITS = Traits(
    # The server connects to the process of each model.
    talks_to_itself=True,
    loaded_models=ModelList("/api/ps", default_tag="latest"),
    kept_models=ModelList("/api/tags", default_tag="latest"),
    version_path="/api/version",
)
_OLDEST_DRIVER, _LOWEST_CAPABILITY = "531", "5.0"
"""Source: Ollama's page on hardware (docs.ollama.com/gpu). Later versions ask for more, for some cards driver 570."""
_DIALECT = Dialect(
    kind="ollama",
    # `ollama/` would use /api/generate with a prompt of its own, without tools and chat template. Over `/v1` an answer
    # that breaks off in the middle looks complete. `ollama_chat/` has no embeddings.
    prefixes={"chat": "ollama_chat", "completion": "ollama_chat", "embedding": "ollama"},
    api_path="",
    ready_path=TRAITS.version_path,
    traits=TRAITS,
)
_COPIES = 3
"""The upload, what its llama-quantize writes, and the layer that this is copied to. The second goes at once, the first
when the host is pruned, or the server starts again after an hour."""
_REGISTRY = ("registry.ollama.ai", "library")
"""The registry and its folder of models whose names do not say them."""
_LOADER, _PRUNER = "bin/load-ollama-models", "bin/prune-ollama-models"


def plan_ollama(ollama: Ollama, context: HostContext) -> ServicePlan:
    """`ollama.service` and `ollama-models.service`, with an instance name unless it is called `ollama`."""
    layout = context.layout
    models = [_pinned(model, context.pins) for model in ollama.declared]
    instance = "" if ollama.name == "ollama" else f"@{ollama.name}"
    release = release_install(ollama.release, ollama.name)
    folder = f"{layout.state}/{ollama.name}"
    server = provider_plan(
        ollama,
        context,
        _DIALECT,
        unit=f"ollama{instance}.service",
        template="ollama/ollama.service.j2",
        command=[f"{layout.install(release.name)}/bin/ollama", "serve"],
        environment={
            # Ollama keeps a key pair in its home and does not start without one.
            "HOME": folder,
            "OLLAMA_MODELS": f"{folder}/models",
            "OLLAMA_HOST": f"{ollama.bind}:{ollama.port}",
            **_settings(ollama),
        },
        installs=(release,),
        # From its registry.
        fetches=True,
        kept_models=[KeptModel(model.name, model.digest) for model in models],
        packages=("zstd",) if ollama.release.suffix == ".tar.zst" else (),
        abilities=dict.fromkeys(ollama.served(), _abilities(ollama)),
        version=ollama.release.version,
        queue=ollama.max_queue,
    )
    files_of = {model.name: model.gguf for model in models if model.gguf}
    made = {name: replace(model_install(file), copies=_COPIES) for name, file in files_of.items()}
    request = f"ollama/{ollama.name}.json"
    name = f"ollama-models{instance}.service"
    load, prune = (
        ["/usr/bin/python3", "-I", "-S", "-u", f"{layout.config}/{program}", f"{layout.config}/{request}"]
        for program in (_LOADER, _PRUNER)
    )
    loader = TaskUnit(
        name=name,
        text=unit_file(
            "ollama/ollama-models.service.j2",
            layout=layout,
            unit=name,
            service=ollama,
            command=load,
            environment={},
            loopback_only=ollama.is_local,
            user=LOADER_USER,
            models=list(files_of.values()),
            server_unit=server.units[0].name,
            runtime_folder=runtime_folder(name),
        ),
        reads=(_LOADER, request),
        installs=tuple(install.name for install in made.values()),
        start_timeout=ollama.load_timeout,
        user=LOADER_USER,
    )
    address = f"http://{ollama.reachable_at}:{ollama.port}"
    paths = {name: model_path(file, layout) for name, file in files_of.items()}
    wanted: list[Json] = [_wanted(model, paths) for model in models]
    return replace(
        server,
        host_models=host_models(files_of.values(), layout, LOADER_USER),
        loads=loads_of(ollama),
        card_needs=_card_needs(ollama),
        pulled=tuple(PulledModel(each.name, manifest_url(each), each.digest) for each in models if not each.gguf),
        prune_commands=(tuple(prune),),
        # It has no login: anyone who reaches it can also remove its models.
        units=(*(replace(unit, callers=(GATEWAY_USER, LOADER_USER)) for unit in server.servers), loader),
        installs=(*server.installs, *{install.name: install for install in made.values()}.values()),
        files={
            **server.files,
            request: json.dumps(
                {
                    "server": address,
                    "timeout": ollama.load_timeout,
                    "memory": f"{folder}-loader",
                    "store": f"{folder}/models",
                    "models": wanted,
                },
                indent=2,
            )
            + "\n",
            _LOADER: (files("roles") / "ollama" / "loader.py").read_text(),
            _PRUNER: (files("roles") / "ollama" / "pruner.py").read_text(),
        },
    )


def _pinned(model: OllamaModel, pins: Pins) -> OllamaModel:
    if model.gguf or model.digest:
        return model
    return model.model_copy(update={"digest": pins.pulled.get(model.name)})


def manifest_url(model: OllamaModel) -> str:
    """Where its registry has its manifest. Source: `ParseModelPath` in Ollama's server/modelpath.go."""
    *before, last = model.name.split("/")
    name, _, tag = last.partition(":")
    host, namespace = (*_REGISTRY[: max(0, 2 - len(before))], *before)[-2:]
    return f"http{'' if model.insecure else 's'}://{host}/v2/{namespace}/{name}/manifests/{tag or 'latest'}"


def _card_needs(ollama: Ollama) -> tuple[CardNeeds, ...]:
    """With less it computes on the processor, without a word."""
    if ollama.cards is None or ollama.cards.vendor != "nvidia":
        return ()
    without = "leave `gpus` out and compute on the processor"
    return (
        CardNeeds(
            what=f"Ollama {ollama.release.version}",
            gpus=ollama.cards,
            driver=_OLDEST_DRIVER,
            older=without,
            capability=_LOWEST_CAPABILITY,
            instead=f"take another card, or {without}",
        ),
    )


def _abilities(ollama: Ollama) -> Abilities:
    """What depends on the model is off until its route declares it: Ollama answers 400 to tools and thinking where a
    model has none. A prompt that is too long loses its beginning."""
    return Abilities(
        tools=False,
        thinking=False,
        logprobs=False,
        several=False,
        context_size=ollama.context_length,
        cuts_silently=True,
    )


def _settings(ollama: Ollama) -> dict[str, str]:
    """All settings are typed and rendered here: Ollama silently misreads a number or boolean that it cannot parse."""
    switches: Mapping[str, bool | None] = {"OLLAMA_FLASH_ATTENTION": ollama.flash_attention}
    values: Mapping[str, object] = {
        "OLLAMA_KEEP_ALIVE": ollama.keep_alive,
        "OLLAMA_MAX_QUEUE": ollama.max_queue,
        "OLLAMA_NUM_PARALLEL": ollama.num_parallel,
        "OLLAMA_MAX_LOADED_MODELS": ollama.max_loaded_models,
        "OLLAMA_CONTEXT_LENGTH": ollama.context_length,
        "OLLAMA_KV_CACHE_TYPE": ollama.kv_cache_type,
        "OLLAMA_ORIGINS": ",".join(ollama.origins) or None,
        # Otherwise it contacts the vendor at its start.
        "OLLAMA_NO_CLOUD": 1,
    }
    given = {name: str(value) for name, value in values.items() if value is not None}
    return given | {name: str(int(value)) for name, value in switches.items() if value is not None}


def release_install(release: OllamaRelease, name: str) -> Install:
    """Its archives, unpacked and tried."""
    return Install(
        name=name,
        title=f"Ollama {release.version}",
        recipe=ReleaseRecipe(
            archives=tuple(Archive(url, sha256) for url, sha256 in release.archives),
            check=("bin/ollama", "--version"),
            says=release.version,
            # With a server to ask, it prints that server's version: at port 0 there is none.
            check_environment={"OLLAMA_HOST": "127.0.0.1:0"},
        ),
        platform=("machine",),
        machine=release.machine,
        # According to its documentation and users: 1.8 GB packed, with the libraries for CUDA. Not measured here.
        disk=4500 * MEGABYTE,
        work_disk=2000 * MEGABYTE,
    )


def _wanted(model: OllamaModel, paths: Mapping[str, str]) -> Json:
    """A model's entry in the loader's request."""
    source: dict[str, Json] = {"digest": model.digest, "insecure": model.insecure}
    if model.gguf:
        parameters = {
            key: list(value) if isinstance(value, tuple) else value for key, value in model.parameters.items()
        }
        source = {
            "gguf": paths[model.name],
            **({"kept_by_others": True} if isinstance(model.gguf, HostFile) else {}),
            "template": model.template.text() if model.template else None,
            "system": model.system,
            "parameters": parameters,  # type: ignore[dict-item]
        }
    return {"name": model.name, "preload": model.preload, **source}
