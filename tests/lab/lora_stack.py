"""vLLM with a LoRA adapter of its model, each with a route. `LAB_HOST` names the host."""

from inventory.lab import stack as whole
from roles.litellm import LiteLLM
from roles.options import Deployment, HubModel, Probe, Route, Stack
from roles.vllm import LoraAdapter
from tests.lab.inventory import LAB, lab_host
from tests.labhost.files import ADAPTER_SAYS, VLLM_SAYS, lab_adapter

ADAPTER = LoraAdapter(
    name="tiny-adapter",
    model=HubModel(endpoint=LAB.mirror_url, repository=lab_adapter(LAB.folders), revision="main"),
)
SAY = {"tiny-vllm": VLLM_SAYS, "tiny-adapter": ADAPTER_SAYS}

stack = Stack(
    providers=[whole.provider("tiny").model_copy(update={"lora_modules": (ADAPTER,)})],
    routes=[
        Route(name=name, deployments=[Deployment(provider="tiny", model=name)], probe=Probe(expects=says))
        for name, says in SAY.items()
    ],
    gateway=LiteLLM(bind="0.0.0.0", instances=1),
)
hosts = [lab_host(stack)]
