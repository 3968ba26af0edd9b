"""Ollama's part of a host plan."""

from __future__ import annotations

from roles.ollama.spec import Ollama
from roles.plan import Backend, Context, Install, Ready, ServicePlan, Unit, unit_file


def plan_ollama(ollama: Ollama, context: Context) -> ServicePlan:
    """`ollama.service`."""
    layout = context.layout
    name = "ollama.service" if ollama.name == "ollama" else f"ollama@{ollama.name}.service"
    release = Install(
        kind="ollama",
        name=ollama.name,
        title="Ollama",
        recipe={"release": ollama.release.model_dump() if ollama.release else None, "models": list(ollama.models)},
        platform=("machine",),
    )
    models_folder = f"{layout.state}/{ollama.name}"
    unit = Unit(
        name=name,
        text=unit_file(
            "ollama.service.j2",
            layout=layout,
            unit=name,
            service=ollama,
            command=[f"{layout.install(release.name)}/bin/ollama", "serve"],
            environment={
                "OLLAMA_HOST": f"{ollama.bind}:{ollama.port}",
                "OLLAMA_MODELS": f"{models_folder}/models",
                "OLLAMA_KEEP_ALIVE": ollama.keep_alive,
                # Ollama keeps a key pair in its home and does not start without one.
                "HOME": models_folder,
                "OLLAMA_NO_CLOUD": "1",
            },
        ),
        environment={},
        reads=(),
        installs=(release.name,),
        bind=ollama.bind,
        port=ollama.port,
        ready=Ready(f"http://{ollama.reachable_at}:{ollama.port}/api/version", ollama.start_timeout),
    )
    backend = Backend(
        provider=ollama.name,
        kind="ollama",
        unit=unit,
        # `ollama/` would use /api/generate with a home-made prompt: tools and chat template lost.
        litellm_prefix="ollama_chat",
        api_base=f"http://{ollama.reachable_at}:{ollama.port}",
        models=ollama.served(),
    )
    return ServicePlan(
        units=(unit,),
        installs=(release,),
        backend=backend,
        not_yet=f"{ollama}: this version declares and renders Ollama, and does not install it yet",
    )
