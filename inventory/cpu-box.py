"""A box without a GPU: small models in Ollama and llama.cpp. 16 GB of main memory are enough.

export LITELLM_MASTER_KEY=sk-$(openssl rand -hex 24)
pyinfra inventory/cpu-box.py deploys/full.py

What it takes of main memory: docs/cards.md.
"""

from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppBuild, LlamaServer
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import Deployment, EnvSecret, HubFile, PythonSdist, Route, Stack

_stack = Stack(
    memory="16G",
    providers=[
        Ollama(
            release=OllamaRelease(
                version="0.32.15", sha256="50539c5fe9bf85887733355098dcdb266b433cb8c73fa180713417e9ed6e42bb"
            ),
            models=[
                OllamaModel(
                    name="llama3.1:latest",
                    digest="46e0c10c039e019119339687c3c1757cc81b9da49709a3b3924863ba87ca666e",
                ),
            ],
            flash_attention=True,
            context_length=4096,
        ),
        LlamaServer(
            name="native",
            port=8080,
            build=LlamaCppBuild(
                source=PythonSdist(
                    package="llama-cpp-python",
                    version="0.3.36",
                    sha256="832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e",
                    subdirectory="vendor/llama.cpp",
                ),
            ),
            model=HubFile(
                repository="Qwen/Qwen2.5-1.5B-Instruct-GGUF",
                revision="91cad51170dc346986eccefdc2dd33a9da36ead9",
                file="qwen2.5-1.5b-instruct-q4_k_m.gguf",
                sha256="6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e",
            ),
            served_name="qwen-native",
            context_size=8192,
            parallel=2,
        ),
    ],
    routes=[
        Route(
            name="llama3.1:latest",
            deployments=[Deployment(provider="ollama")],
            fallbacks=["qwen-native"],
            tools=True,
        ),
        Route(
            name="qwen-native",
            deployments=[Deployment(provider="native")],
            context_size=4096,  # of its 8192 for each of 2 requests
        ),
    ],
    gateway=LiteLLM(master_key=EnvSecret("LITELLM_MASTER_KEY")),
)

hosts = [("cpu-box", {"stack": _stack, "ssh_user": "root"})]
