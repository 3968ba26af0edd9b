"""vLLM's part of a host plan."""

from __future__ import annotations

from roles.plan import Backend, Context, Ready, ServicePlan, Unit, hub_install, python_env, unit_file
from roles.vllm.spec import Vllm

VERSION = "0.32.0"


def plan_vllm(vllm: Vllm, context: Context) -> ServicePlan:
    """`vllm@<name>.service`."""
    layout = context.layout
    environment = python_env("vllm", "vllm", VERSION, name="vllm", disk=0, work_disk=0)
    model = hub_install(f"model-{vllm.name}", vllm.model)
    command = [
        f"{layout.install(environment.name)}/bin/vllm",
        "serve",
        layout.install(model.name),
        "--host", vllm.bind,
        "--port", str(vllm.port),
        "--served-model-name", vllm.model_name,
        "--gpu-memory-utilization", f"{vllm.gpu_memory_utilization:g}",
        *(["--quantization", vllm.quantization] if vllm.quantization else []),
        *(["--max-model-len", str(vllm.max_model_len)] if vllm.max_model_len else []),
        *vllm.extra_arguments,
    ]  # fmt: skip
    name = f"vllm@{vllm.name}.service"
    unit = Unit(
        name=name,
        text=unit_file(
            "vllm.service.j2",
            layout=layout,
            unit=name,
            service=vllm,
            command=command,
            environment={
                "HF_HUB_OFFLINE": "1",
                "VLLM_NO_USAGE_STATS": "1",
                "VLLM_CACHE_ROOT": f"{layout.cache}/vllm/{vllm.name}",
            },
        ),
        environment={},
        reads=(),
        installs=(environment.name, model.name),
        bind=vllm.bind,
        port=vllm.port,
        ready=Ready(f"http://{vllm.reachable_at}:{vllm.port}/health", vllm.start_timeout),
    )
    backend = Backend(
        provider=vllm.name,
        kind="vllm",
        unit=unit,
        litellm_prefix="hosted_vllm",
        api_base=f"http://{vllm.reachable_at}:{vllm.port}/v1",
        models=vllm.served(),
    )
    return ServicePlan(
        units=(unit,),
        installs=(environment, model),
        packages=("python3-venv",),
        backend=backend,
        not_yet=f"{vllm}: this version declares and renders vLLM, and does not install it yet",
    )
