"""A box with one GPU of 48 GB: the reference stack with longer contexts, and a model of 7B in llama.cpp too.

export LITELLM_MASTER_KEY=sk-$(openssl rand -hex 24)
pyinfra inventory/gpu-48gb.py deploys/full.py

What it takes of the card: docs/cards.md. The smaller box, and what each line means: inventory/gpu-box.py.
"""

from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppBuild, LlamaCppPython, LlamaServer
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import Deployment, EnvSecret, Gpus, HubFile, HubModel, PythonSdist, Route, Stack
from roles.vllm import Vllm

_card = Gpus(memory="48G")

_llama_cpp = LlamaCppBuild(
    source=PythonSdist(
        package="llama-cpp-python",
        version="0.3.36",
        sha256="832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e",
        subdirectory="vendor/llama.cpp",
    ),
    backend="cuda",
)

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
            num_parallel=2,
            flash_attention=True,
            context_length=16384,
        ),
        Vllm(
            name="qwen-coder",
            port=8001,
            model=HubModel(
                repository="Qwen/Qwen2.5-Coder-7B-Instruct-AWQ", revision="8e8ed243bbe6f9a5aff549a0924562fc719b2b8a"
            ),
            served_model_name="qwen-coder-vllm",
            max_model_len=32768,
            gpus=_card,
            gpu_memory_utilization=0.38,
        ),
        LlamaCppPython(
            name="python",
            port=8000,
            build=_llama_cpp,
            model=HubFile(
                repository="Qwen/Qwen2.5-1.5B-Instruct-GGUF",
                revision="91cad51170dc346986eccefdc2dd33a9da36ead9",
                file="qwen2.5-1.5b-instruct-q4_k_m.gguf",
                sha256="6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e",
            ),
            served_name="qwen-python",
            context_size=8192,
            flash_attention=True,
            gpus=_card,
        ),
        LlamaServer(
            name="native",
            port=8080,
            build=_llama_cpp,
            model=HubFile(
                repository="Qwen/Qwen2.5-7B-Instruct-GGUF",
                revision="bb5d59e06d9551d752d08b292a50eb208b07ab1f",
                file="qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf",
            ),
            served_name="qwen-native",
            context_size=32768,
            parallel=4,
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
            context_size=32768,
        ),
        Route(
            name="qwen-python",
            deployments=[Deployment(provider="python")],
            fallbacks=["qwen-native"],
            context_window_fallbacks=["qwen-coder-vllm"],
            context_size=8192,
        ),
        Route(
            name="qwen-native",
            deployments=[Deployment(provider="native")],
            fallbacks=["qwen-python"],
            context_window_fallbacks=["qwen-coder-vllm"],
            context_size=8192,  # of its 32768 for each of 4 requests
        ),
    ],
    gateway=LiteLLM(master_key=EnvSecret("LITELLM_MASTER_KEY")),
)

hosts = [("gpu-48gb", {"stack": _stack, "ssh_user": "root"})]
