"""The reference stack: one box, one GPU of 24 GB, all providers behind one endpoint on port 4000.

export LITELLM_MASTER_KEY=sk-$(openssl rand -hex 24)
pyinfra inventory/gpu-box.py deploys/full.py

Everything that it refers to is pinned, and listed in docs/pins.md. What it takes of the card: docs/cards.md.
"""

from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppBuild, LlamaCppPython, LlamaServer
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import Deployment, EnvSecret, Gpus, HubFile, HubModel, PythonSdist, Route, Stack
from roles.vllm import Vllm

# llama.cpp's source as the llama-cpp-python release carries it: one tree for both servers, pinned by digest, compiled
# for the cards that the host has. It brings the CUDA toolkit that compiles it.
_llama_cpp = LlamaCppBuild(
    source=PythonSdist(
        package="llama-cpp-python",
        version="0.3.36",
        sha256="832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e",
        subdirectory="vendor/llama.cpp",
    ),
    backend="cuda",
)

_gguf = HubFile(
    repository="Qwen/Qwen2.5-1.5B-Instruct-GGUF",
    revision="91cad51170dc346986eccefdc2dd33a9da36ead9",
    file="qwen2.5-1.5b-instruct-q4_k_m.gguf",
    sha256="6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e",
)

_card = Gpus(memory="24G")

_stack = Stack(
    providers=[
        Ollama(
            release=OllamaRelease(
                version="0.32.15", sha256="50539c5fe9bf85887733355098dcdb266b433cb8c73fa180713417e9ed6e42bb"
            ),
            gpus=_card,
            models=[
                OllamaModel(
                    name="llama3.1:latest",
                    digest="46e0c10c039e019119339687c3c1757cc81b9da49709a3b3924863ba87ca666e",
                ),
                OllamaModel(
                    name="qwen2.5-coder:7b",
                    digest="dae161e27b0e90dd1856c8bb3209201fd6736d8eb66298e75ed87571486f4364",
                ),
            ],
            flash_attention=True,
            context_length=8192,  # on such a card Ollama itself would take 32768, which is 4 GB for the first model
        ),
        Vllm(
            name="qwen-coder",
            port=8001,
            model=HubModel(
                repository="Qwen/Qwen2.5-Coder-7B-Instruct-AWQ", revision="8e8ed243bbe6f9a5aff549a0924562fc719b2b8a"
            ),
            served_model_name="qwen-coder-vllm",
            max_model_len=16384,
            gpus=_card,
            gpu_memory_utilization=0.34,  # what the others leave, less a reserve
        ),
        LlamaCppPython(
            name="python",
            port=8000,
            build=_llama_cpp,
            model=_gguf,
            served_name="qwen-python",
            context_size=4096,
            flash_attention=True,
            gpus=_card,
        ),
        LlamaServer(
            name="native",
            port=8080,
            build=_llama_cpp,
            model=_gguf,
            served_name="qwen-native",
            context_size=8192,
            parallel=2,
            flash_attention="on",
            gpus=_card,
        ),
    ],
    routes=[
        Route(name="llama3.1:latest", deployments=[Deployment(provider="ollama", model="llama3.1:latest")], tools=True),
        Route(
            name="qwen2.5-coder:7b", deployments=[Deployment(provider="ollama", model="qwen2.5-coder:7b")], tools=True
        ),
        Route(
            name="qwen-coder-vllm",
            deployments=[Deployment(provider="qwen-coder")],
            fallbacks=["qwen2.5-coder:7b"],
            context_size=16384,
        ),
        Route(
            name="qwen-python",
            deployments=[Deployment(provider="python")],
            fallbacks=["qwen-native"],
            context_window_fallbacks=["qwen-coder-vllm"],
            context_size=4096,
        ),
        Route(
            name="qwen-native",
            deployments=[Deployment(provider="native")],
            fallbacks=["qwen-python"],
            context_window_fallbacks=["qwen-coder-vllm"],
            context_size=4096,  # of its 8192 for each of 2 requests
        ),
    ],
    aliases={"gpt-4o": "qwen-coder-vllm"},
    gateway=LiteLLM(master_key=EnvSecret("LITELLM_MASTER_KEY")),
)

hosts = [("gpu-box", {"stack": _stack, "ssh_user": "root"})]
