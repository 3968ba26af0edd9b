"""What can never work is refused in words: what was given, what to give, and an example; never a secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from roles.litellm import LiteLLM
from roles.litellm.tls import Cors, Tls
from roles.llama_cpp import LlamaCppRelease
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import (
    Client,
    Deployment,
    EnvSecret,
    FileSecret,
    Gpus,
    HubFile,
    HubModel,
    LocalFile,
    Options,
    OptionsError,
    Price,
    Probe,
    PythonSdist,
    Route,
    TextFile,
    UrlArchive,
    UrlFile,
    UserScope,
    Verification,
)
from roles.redis import Redis
from roles.rooms import plan_of
from roles.vllm import LoraAdapter, VllmPackage
from tests.option_groups import GROUPS
from tests.stacks import CUDA_BUILD, native, python, small_stack, vllm

DIGEST = "a" * 64
DIGITS = "7f3c9a1b5d2e8f604c7a9b3d1e5f8a2c4b6d8e0f1a3c5e79"
RELEASE = OllamaRelease(version="0.32.15")
TWO_CARDS = Gpus(uuids=["GPU-0a1b2c3d-0000", "GPU-0a1b2c3d-0001"])
AMD = Gpus(vendor="amd")


def ollama(**options: Any) -> Ollama:
    return Ollama(**{"release": RELEASE, "models": ["a"], **options})


def adapter(name: str) -> LoraAdapter:
    return LoraAdapter(name=name, model=HubModel(repository="org/adapter", revision="1" * 40))


def untyped(group: Any, *by_place: object, **options: object) -> object:
    """A group whose options a type checker does not look at."""
    return group(*by_place, **options)


def part(number: str, count: str = "00003") -> str:
    return f"Q4/model-{number}-of-{count}.gguf"


def hub_file(file: str, **options: Any) -> HubFile:
    return HubFile(**{"repository": "org/model", "revision": "main", "file": file, **options})


def release(name: str, backend: str = "cpu") -> LlamaCppRelease:
    options: dict[str, Any] = {"url": f"https://h.example/{name}", "sha256": DIGEST, "backend": backend}
    return LlamaCppRelease(**options)


REFUSED: Mapping[str, tuple[Callable[[], object], str]] = {
    # Given by place.
    "a route by place": (lambda: untyped(Route, "x"), "Route: give each option by its name: Route(name=…)"),
    "two options by place": (lambda: untyped(Client, "a", None), "Client(name=…, key=…)"),
    "more by place than there are": (lambda: untyped(Redis, *range(50)), "Redis: give each option by its name"),
    "by place where nothing can be given": (lambda: untyped(UserScope, "ai"), "UserScope(user=…)"),
    "a secret by place and by name": (lambda: untyped(EnvSecret, "A", variable="B"), "EnvSecret(variable=…)"),
    "a secret of nothing": (lambda: untyped(EnvSecret), 'option "variable" is missing'),
    "a secret of two": (lambda: untyped(FileSecret, "a", "b"), "FileSecret: give each option by its name"),
    "a text file by another name": (lambda: untyped(TextFile, file="a"), 'unknown option "file"'),
    # Containers.
    "a word for a list": (lambda: untyped(Route, name="x", deployments=[], fallbacks="y"), 'give a list: ["y"]'),
    "one group for a list": (
        lambda: untyped(Route, name="x", deployments=Deployment(provider="p")),
        "give a list: [Deployment(…)]",
    ),
    "a set for a list": (lambda: untyped(Client, name="a", routes={"x"}), "give a list: […], not a set"),
    "a mapping for a list": (lambda: untyped(Client, name="a", routes={"x": 1}), "give a list: […], not a dict"),
    "pairs for a mapping": (lambda: small_stack(aliases=[("a", "n")]), 'give a mapping, {"name": "value"}, not a list'),
    "a list for one": (lambda: native(model=[native().model]), "not a list: without the brackets"),
    "a mapping for a secret": (lambda: untyped(Client, name="a", key={}), "Secret: give EnvSecret(…) or FileSecret(…)"),
    "a mapping for a service": (lambda: small_stack(gateway={}), "Gateway: give LiteLLM(…)"),
    "a number for a group": (
        lambda: untyped(Route, name="x", deployments=[7]),
        'option "deployments.0": give Deployment(…), not 7',
    ),
    "a group without its parentheses": (lambda: small_stack(cache=Redis), "give Redis(…), not Redis without its paren"),
    "a text for a group": (lambda: small_stack(gateway="litellm"), 'give LiteLLM(…), not "litellm" (a text)'),
    # Numbers.
    "a percentage for a share": (
        lambda: vllm(gpu_memory_utilization=90),
        "give a number of at most 1, not 90; for example",
    ),
    "no number as a share": (lambda: vllm(gpu_memory_utilization=float("nan")), "at most 1, not nan"),
    "a price below nothing": (lambda: untyped(Price, input=-1, output=1), "give a number of at least 0, not -1"),
    "more than any program counts": (lambda: vllm(max_model_len=10**5000), '"max_model_len": no program counts so far'),
    "an empty list": (lambda: untyped(Route, name="x", deployments=[]), "give at least 1, not 0; for example"),
    # What is no model, no cards, no version.
    "weights of another form": (lambda: native(model=hub_file("model.safetensors")), "is no GGUF file, by its ending"),
    "one of several weights": (lambda: native(model=hub_file("a-00001-of-00003.safetensors")), "is no GGUF file"),
    "an archive as a model": (
        lambda: python(model=UrlFile(url="https://h/m.zip", sha256=DIGEST)),
        "by its ending .zip",
    ),
    "a piece of a cut file": (lambda: native(model=hub_file("m.gguf.part1of2")), "is one piece of a file that was cut"),
    "a piece as split cuts": (lambda: native(lora=[hub_file("m.Q4_K_M.gguf-split-a")]), "join all with `cat`"),
    "a pattern as a model": (
        lambda: native(mmproj=hub_file("*.gguf")),
        "stands for several files; give the name of one",
    ),
    "a page of the Hub": (
        lambda: UrlFile(url="https://huggingface.co/o/m/blob/main/m.gguf", sha256=DIGEST),
        "is the page about a file; give the address of the file itself, with `/resolve/`",
    ),
    "a range as a version": (lambda: VllmPackage(version=">=0.32"), "is no exact version"),
    "a version without its lock": (lambda: vllm(package=VllmPackage(version="0.31.0")), "requirements are those of"),
    "a switch as a word": (lambda: vllm(quantization="--enforce-eager"), "is no word as vLLM spells it"),
    "a release for Intel": (lambda: release("llama-b1-bin-ubuntu-sycl-x64.tar.gz"), "is for Intel's cards (SYCL)"),
    "a release for Ascend": (lambda: release("llama-b1-bin-310p-openEuler-x86.tar.gz"), "which no `backend` is"),
    "an Ollama of another format": (lambda: ollama(release=OllamaRelease(version="0.12.1")), '`suffix=".tgz"`, or a'),
    "an archive for a folder": (
        lambda: OllamaRelease(version="0.32.15", url="https://h/ollama-linux-amd64.tar.zst"),
        "`url` is the address of an archive; give the folder",
    ),
    # More than there is.
    "a device of another backend": (
        lambda: native(build=CUDA_BUILD, device=["Vulkan0"]),
        'names Vulkan0, and the build calls its devices "CUDA0"',
    ),
    "a device beyond the cards": (
        lambda: native(build=CUDA_BUILD, gpus=TWO_CARDS, device=["CUDA2"]),
        "names CUDA2, and `gpus` names 2 cards, which are counted from 0",
    ),
    "a device twice": (lambda: native(build=CUDA_BUILD, device=["CUDA0", "CUDA0"]), "names CUDA0 twice"),
    "no share for any card": (
        lambda: native(build=CUDA_BUILD, tensor_split=[0.0, 0.0]),
        "gives each card a share of 0",
    ),
    "an endless share": (
        lambda: native(build=CUDA_BUILD, tensor_split=[float("inf")]),
        "give a number, not inf",
    ),
    "more shares than cards, Python": (
        lambda: python(build=CUDA_BUILD, gpus=TWO_CARDS, tensor_split=[1.0] * 3),
        "`tensor_split` has 3 shares, and `gpus` names 2 cards",
    ),
    "a card beyond the last, Python": (
        lambda: python(build=CUDA_BUILD, gpus=TWO_CARDS, main_gpu=2),
        "`main_gpu` is 2, and `gpus` names 2 cards",
    ),
    "copies for more cards than there are": (
        lambda: vllm(gpus=TWO_CARDS, tensor_parallel_size=2, extra_arguments=["--data_parallel_size=2"]),
        "times `--data-parallel-size` 2 needs 4 cards, and `gpus` names 2",
    ),
    "a draft by no model": (lambda: native(spec_type="draft-simple"), "drafts with a model; give `draft_model`"),
    "a least draft above the most": (
        lambda: native(spec_type="ngram-simple", draft_max=2, draft_min=5),
        "`draft_min` is 5, which is more than the `draft_max` of 2",
    ),
    "a cache without flash attention": (
        lambda: ollama(kv_cache_type="q8_0", flash_attention=False),
        'needs flash attention, without which Ollama takes "f16"',
    ),
    "longer than Go counts": (lambda: ollama(keep_alive="999999999h"), "is longer than 292 years"),
    "one model by two names": (lambda: ollama(models=["a", "a:latest"]), 'model "a:latest" is there twice'),
    "a model by address": (lambda: ollama(models=[OllamaModel(name="https://ollama.com/library/a")]), "is an address"),
    "a model with two tags": (lambda: ollama(models=[OllamaModel(name="a:b:c")]), "has two tags"),
    # Arguments.
    "an argument with underscores": (
        lambda: native(extra_arguments=["--ctx_size", "1"]),
        "is the option `context_size`",
    ),
    "a model by a preset": (lambda: native(extra_arguments=["--gpt-oss-20b-default"]), "is the option `model`"),
    "a value in one with its letter": (lambda: vllm(extra_arguments=["-qawq"]), "is the option `quantization`"),
    "the beginning of a short one": (lambda: vllm(extra_arguments=["-t", "2"]), "is the option `tensor_parallel_size`"),
    "one that ends the program": (lambda: vllm(extra_arguments=["--version"]), "is given by the plan itself"),
    "a model by place in arguments": (lambda: vllm(extra_arguments=["org/other"]), "begins with no argument's name"),
    "NUL in an argument": (lambda: native(extra_arguments=["--grammar", "a\0b"]), "has a control character in it"),
    "a key in an argument": (lambda: vllm(extra_arguments=["--x", f"sk-{DIGITS}"]), "looks like a key or a password"),
    "a key in a variable": (lambda: native(environment={"X": f"sk-{DIGITS}"}), "`X` holds what looks like a key"),
    "a login in a variable": (
        lambda: vllm(environment={"HTTPS_PROXY": "http://u:hunter22@proxy:3128"}),
        "`HTTPS_PROXY` holds what looks like a key or a password",
    ),
    "a secret by another ending": (lambda: vllm(environment={"OPENAI_APIKEY": "x"}), "holds a secret by its name"),
    "a password by its short name": (lambda: vllm(environment={"DB_PASS": "x"}), "holds a secret by its name"),
    "a setting by another way": (lambda: python(environment={"config_file": "/x"}), "is given by the plan itself"),
    # Plain values.
    "a number in quotes": (lambda: native(port="8080"), 'give a whole number, not "8080" (a text): without quotes'),
    "a number without quotes": (lambda: vllm(served_model_name=7), "give a text in quotes, not 7: with quotes"),
    "a word for yes": (lambda: native(metrics="yes"), 'give True or False, not "yes" (a text): without quotes'),
    "half a port": (lambda: native(port=8080.5), "give a whole number, not 8080.5"),
    "yes for a number": (lambda: native(port=True), "give a whole number, not True"),
    "a vendor in capitals": (lambda: untyped(Gpus, vendor="NVIDIA"), 'not "NVIDIA" (a text); did you mean "nvidia"?'),
    "an unknown mode": (
        lambda: untyped(Route, name="x", deployments=[Deployment(provider="p")], mode="embeddings"),
        'did you mean "embedding"?',
    ),
    # Texts of a form.
    "GB": (lambda: native(memory_max="64GB"), '"64GB" is no size of memory: a whole number and K, M, G or T'),
    "GB, the nearest": (lambda: native(memory_max="64GB"), 'such as "64G"; did you mean "64G"?'),
    "a small letter": (lambda: native(memory_max="64g"), 'did you mean "64G"?'),
    "GiB": (lambda: vllm(kv_cache_memory_bytes="8 GiB"), 'did you mean "8G"?'),
    "no memory": (lambda: native(memory_max="0G"), '"0G" is no size of memory'),
    "a fraction": (lambda: Redis(maxmemory="1.5G"), '"1.5G" is no size of memory'),
    "more memory than there is": (lambda: native(memory_max="9999999999T"), "is no size of memory"),
    "percents of memory": (lambda: native(memory_max="50%"), "is no size of memory"),
    "a name in capitals": (lambda: native(name="Qwen"), '"Qwen" is no name of a service: lower-case letters, digits'),
    "a model's name with a space": (lambda: native(served_name="my model"), "is no name of a model: letters, digits"),
    "a card by its number": (lambda: Gpus(uuids=["0"]), '"0" is no UUID of a card, such as "GPU-5b3c1f0e'),
    "one card twice": (lambda: Gpus(uuids=["GPU-0a1b2c3d-0000"] * 2), "GPU-0a1b2c3d-0000 is there twice"),
    "a digest of another kind": (lambda: UrlFile(url="https://h/m", sha256="abc"), '"abc" is no SHA-256'),
    "a v before the version": (lambda: OllamaRelease(version="v0.32.15"), 'no exact version without "v"'),
    "a text of two lines": (lambda: native(name="a\nb"), "is no name of a service"),
    # Addresses and paths.
    "an address for a local file": (lambda: LocalFile(path="https://h/m.gguf", sha256=DIGEST), "is an address, and"),
    "an address for a text file": (lambda: TextFile("https://h/lock.txt"), "is an address, and this is the path"),
    "an address for a file of a secret": (lambda: FileSecret("file:///etc/key"), "is an address, and this is the path"),
    "an address in a repository": (lambda: hub_file("https://h/m.gguf"), "give the last part alone"),
    "an address for a repository": (
        lambda: HubModel(repository="https://huggingface.co/org/model", revision="main"),
        "is no repository on a Hub: organisation/model",
    ),
    "a path for an address": (lambda: UrlFile(url="/models/m.gguf", sha256=DIGEST), "use LocalFile for a file of this"),
    "a home folder for an address": (lambda: UrlFile(url="~/m.gguf", sha256=DIGEST), "use LocalFile"),
    "an address without its scheme": (
        lambda: UrlFile(url="h.example.com/m.gguf", sha256=DIGEST),
        'did you mean "https://h.example.com/m.gguf"?',
    ),
    "a Hub without its scheme": (lambda: hub_file("m.gguf", endpoint="hub.lan"), 'did you mean "https://hub.lan"?'),
    "an address of no host": (lambda: UrlFile(url="https:///m.gguf", sha256=DIGEST), "names no host"),
    "a path for a place on the host": (lambda: Tls(certificate="a.pem", key="/k", server_name="a"), "no whole path"),
    "a relative textfile": (lambda: Verification(textfile="ai.prom"), "is no whole path of a file whose name ends in"),
    "a group to listen on": (lambda: native(bind="224.0.0.1"), "is no address of a host"),
    "all to listen on": (lambda: native(bind="255.255.255.255"), "is no address of a host"),
    "a port beyond the last": (
        lambda: UrlFile(url="https://h:99999/m.gguf", sha256=DIGEST),
        "ports are from 1 to 65535",
    ),
    "a word for a port": (lambda: UrlFile(url="https://h:abc/m.gguf", sha256=DIGEST), 'has the port "abc"'),
    "a control character in an origin": (lambda: Cors(origins=["\x1f"]), "is no web origin"),
    "an address to listen on": (lambda: native(bind="http://127.0.0.1"), "is no IPv4 address"),
    # Split models.
    "the second part": (lambda: hub_file(part("00002")), f'is part 2 of 3; give "{part("00001")}", which fetches all'),
    "a part that cannot be": (lambda: hub_file(part("00004")), "is part 4 of 3, which cannot be"),
    "part of more than anybody has": (lambda: hub_file(part("00001", "99999")), "which cannot be"),
    "one digest of three files": (lambda: hub_file(part("00001"), sha256=DIGEST), "is the digest of one file, and"),
    "one address of three": (
        lambda: UrlFile(url=f"https://h/{part('00001')}", sha256=DIGEST),
        "is one part of a model, which its server needs all of",
    ),
    "one file of three of this machine": (lambda: LocalFile(path=part("00001"), sha256=DIGEST), "give a HubFile with"),
    "a split model for Ollama": (
        lambda: OllamaModel(name="m", gguf=hub_file(part("00001"))),
        "Ollama makes a model of one",
    ),
    # Cards.
    "more parts than cards": (
        lambda: vllm(gpus=TWO_CARDS, tensor_parallel_size=2, pipeline_parallel_size=2),
        "needs 4 cards, and `gpus` names 2; name more, or lower them",
    ),
    "more shares than cards": (
        lambda: native(build=CUDA_BUILD, gpus=TWO_CARDS, tensor_split=[1.0, 1.0, 1.0]),
        "`tensor_split` has 3 shares, and `gpus` names 2 cards",
    ),
    "a card that is none of its own": (
        lambda: native(build=CUDA_BUILD, gpus=TWO_CARDS, main_gpu=2),
        "`main_gpu` is 2, and `gpus` names 2 cards, which are counted from 0",
    ),
    "CUDA's package for AMD": (lambda: vllm(gpus=AMD), "is for NVIDIA cards (CUDA), and this server is to run on AMD"),
    "CUDA's package for the processor": (
        lambda: untyped(vllm, gpus=None, package=VllmPackage(), kv_cache_memory_bytes="1G"),
        "(the shipped one) is for NVIDIA cards (CUDA), and this server is to run on the processor",
    ),
    "the processor's package for cards": (
        lambda: vllm(package=VllmPackage(version="0.32.0+cpu", requirements=TextFile("lock.txt"))),
        "(version 0.32.0+cpu) is for the processor, and this server is to run on NVIDIA",
    ),
    "ROCm's package for NVIDIA": (
        lambda: vllm(package=VllmPackage(version="0.32.0+rocm63", requirements=TextFile("lock.txt"))),
        "is for AMD cards (ROCm)",
    ),
    "Ollama for AMD without its add-on": (lambda: ollama(gpus=AMD), "give the OllamaRelease `rocm=True`"),
    "a release for macOS": (lambda: release("llama-b1-bin-macos-arm64.tar.gz"), "is for macOS; take the archive for"),
    "a release for Windows": (lambda: release("llama-b1-bin-win-cpu-x64.tar.gz"), "is for Windows"),
    "a release for another backend": (
        lambda: release("llama-b1-bin-ubuntu-vulkan-x64.tar.gz"),
        'is for "vulkan", and `backend` is "cpu"',
    ),
    # Further arguments.
    "llama-server: an option by its short name": (
        lambda: native(extra_arguments=["-c", "4096"]),
        "`-c` is the option `context_size` here; use that",
    ),
    "llama-server: with its value": (lambda: native(extra_arguments=["--ctx-size=1"]), "is the option `context_size`"),
    "llama-server: a switch that undoes": (lambda: native(extra_arguments=["--no-jinja"]), "is the option `jinja`"),
    "llama-server: TLS": (lambda: native(extra_arguments=["--ssl-key-file", "k"]), "is given by the plan itself"),
    "llama-server: two in one": (
        lambda: native(extra_arguments=["--top-k 5"]),
        'are two arguments in one text; write ["--top-k", "5"]',
    ),
    "vLLM: an option": (lambda: vllm(extra_arguments=["--max-model-len", "1"]), "is the option `max_model_len`"),
    "vLLM: its short name": (lambda: vllm(extra_arguments=["-tp", "2"]), "is the option `tensor_parallel_size` here"),
    "vLLM: with underscores": (lambda: vllm(extra_arguments=["--max_model_len=1"]), "is the option `max_model_len`"),
    "vLLM: shortened": (lambda: vllm(extra_arguments=["--tensor-par", "2"]), "is the option `tensor_parallel_size`"),
    "vLLM: a key": (lambda: vllm(extra_arguments=["--api-key", "x"]), "is the option `api_key` here"),
    "vLLM: an adapter": (
        lambda: vllm(extra_arguments=["--enable-lora", "--lora-modules", "x=/x"]),
        "`--enable-lora` is the option `lora_modules` here; use that",
    ),
    "vLLM: adapters off": (lambda: vllm(extra_arguments=["--no-enable-lora"]), "is the option `lora_modules` here"),
    "vLLM: the bound on ranks": (lambda: vllm(extra_arguments=["--max-lora-rank=64"]), "is the option `max_lora_rank`"),
    "vLLM: places of adapters": (lambda: vllm(extra_arguments=["--max_loras", "2"]), "is the option `max_loras` here"),
    # Adapters.
    "an adapter by its model's name": (
        lambda: vllm(served_model_name="m", lora_modules=[adapter("m")]),
        '"m" is the name of a LoRA adapter and of the model itself; give the adapter another `name`',
    ),
    "an adapter by its repository's name": (
        lambda: vllm(lora_modules=[adapter("org/model")]),
        '"org/model" is the name of a LoRA adapter and of the model itself',
    ),
    "two adapters by one name": (
        lambda: vllm(lora_modules=[adapter("a"), adapter("b"), adapter("a")]),
        '"a" is the name of a LoRA adapter and of another adapter',
    ),
    "a rank between vLLM's": (
        lambda: vllm(lora_modules=[adapter("a")], max_lora_rank=untyped(int, 24)),
        "1, 8, 16, 32, 64, 128, 256, 320 or 512, not 24",
    ),
    "a rank of no adapter": (
        lambda: vllm(max_lora_rank=64),
        "`max_lora_rank` is given, and there is no adapter; give `lora_modules`, or remove it",
    ),
    "places of no adapter": (lambda: vllm(max_loras=2), "`max_loras` is given, and there is no adapter"),
    "places of adapters on the processor": (
        lambda: vllm(gpus=None, kv_cache_memory_bytes="1G", lora_modules=[adapter("a")], max_loras=2),
        "`max_loras` is for cards: on the processor each adapter has a place; remove it",
    ),
    "vLLM: a file of arguments": (lambda: vllm(extra_arguments=["--config", "x.yaml"]), "given by the plan itself"),
    # Values of engines.
    "a time without a unit that is one": (lambda: ollama(keep_alive="1 hour"), 'is no time as Ollama reads it: "30m"'),
    "a time as a number": (lambda: ollama(keep_alive=0), "give a text in quotes, not 0: with quotes"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_it_is_refused_in_words(mistake: str) -> None:
    make, words = REFUSED[mistake]
    with pytest.raises(OptionsError) as caught:
        make()
    message = str(caught.value)
    assert words in message
    assert re.match(r"tests/[a-z_/]+\.py:[0-9]+: ", message)
    assert "\n" not in message
    assert not [jargon for jargon in ("pattern", "instance", "sequence", "pydantic", "[a-z") if jargon in message]


@pytest.mark.parametrize("keep_alive", ["0", "-1", "30m", "1h30m", "-1m", "90s", "300", "1.5h", "100ms"])
def test_a_time_that_ollama_reads_is_taken(keep_alive: str) -> None:
    assert ollama(keep_alive=keep_alive).keep_alive == keep_alive


@pytest.mark.parametrize("arguments", ["--prio 2", "--temp=0.5", "--override-kv a=int:-1", "-ot x=CPU"])
def test_an_argument_that_no_option_gives_is_taken(arguments: str) -> None:
    assert native(extra_arguments=arguments.split()).extra_arguments == tuple(arguments.split())


def test_further_arguments_of_vllm() -> None:
    vllm(extra_arguments=["--max-logprobs", "5", "--tokenizer-mode=slow", "--speculative-config", '{"model": "x"}'])


def test_all_parts_of_a_split_model_are_fetched_and_the_server_gets_the_first() -> None:
    model = hub_file(part("00001"))
    assert model.files == (part("00001"), part("00002"), part("00003"))
    assert model.filename == part("00001")
    assert hub_file("model.gguf").files == ("model.gguf",)
    assert hub_file("model-1-of-3.gguf").files == ("model-1-of-3.gguf",)


def test_as_many_parts_as_cards_and_a_package_for_them_are_taken(tmp_path: Path) -> None:
    vllm(gpus=TWO_CARDS, tensor_parallel_size=2)
    vllm(tensor_parallel_size=8)  # how many there are is known on the host
    lock = TextFile(str(tmp_path / "lock.txt"))
    vllm(gpus=AMD, package=VllmPackage(version="0.32.0+rocm63", requirements=lock))
    vllm(gpus=AMD, package=VllmPackage(version="0.32.0", requirements=lock))
    ollama(gpus=AMD, release=OllamaRelease(version="0.32.15", rocm=True))
    release("llama-b1-bin-ubuntu-vulkan-x64.tar.gz", "vulkan")
    native(build=CUDA_BUILD, gpus=TWO_CARDS, tensor_split=[3.0, 1.0], main_gpu=1)


_SECRETS = {
    "a key of the gateway": f"sk-{DIGITS}",
    "a key of words": "sk-proj-all-letters-and-nothing-else",
    "bare digits": DIGITS,
    "a token of the Hub": "hf_" + "AbCdEfGhIj" * 3,
    "a password in an address": "https://ada:correct-horse@files.example.com/m.gguf",
}


@pytest.mark.parametrize("kind", _SECRETS)
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_a_secret_in_a_wrong_place_is_in_no_message(group: Any, kind: str) -> None:
    secret = _SECRETS[kind]
    told = secret if "@" not in secret else "correct-horse"
    for option in group.model_fields:
        for given in (secret, [secret], {secret: secret}, (secret, 1), f"{secret} "):
            with pytest.raises(OptionsError) as caught:
                untyped(group, **{option: given}, no_such_option=secret)
            assert told not in str(caught.value)
            assert told not in str(caught.value.code)
    with pytest.raises(OptionsError) as caught:
        untyped(group, secret, secret)
    assert told not in str(caught.value)


def test_a_secret_of_the_environment_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOX_PASSWORD", "correct horse battery")
    for option in ("bind", "name"):
        with pytest.raises(OptionsError) as caught:
            native(**{option: "correct horse battery"})
        assert "correct horse" not in str(caught.value)
        assert "[not shown: it may be a secret]" in str(caught.value)


@pytest.mark.parametrize("given", ["sk-0123456789abcdef0123", "hunter2"])
def test_where_a_secret_belongs_its_value_is_refused_and_not_shown(given: str) -> None:
    places: Mapping[Any, str] = {LiteLLM: "master_key", Client: "key", Redis: "password", Verification: "webhook"}
    for group, option in {**places, native: "api_key", python: "api_key", HubModel: "token"}.items():
        with pytest.raises(OptionsError, match=r'give the place of the secret, EnvSecret\("VARIABLE"\)') as caught:
            untyped(group, **{option: given})
        assert given not in str(caught.value)


def test_the_value_of_a_secret_for_its_variable_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = f"a{DIGITS}"
    with pytest.raises(OptionsError, match=r"is not set; run `export \[not shown") as caught:
        EnvSecret(digits).reveal()
    assert digits not in str(caught.value)
    with pytest.raises(OptionsError, match="is no name of an environment variable") as caught:
        EnvSecret("sk-0123456789abcdef")
    assert "0123456789" not in str(caught.value)


def test_ordinary_names_are_shown() -> None:
    for name in (
        "qwen2.5-coder-7b-instruct-awq",
        "GPU-5b3c1f0e-8a57-4d2e-9c41-0f6f2f9f7d1z",
        "hf-internal/tiny-random",
    ):
        with pytest.raises(OptionsError, match=name):
            untyped(Probe, timeout=name)
    with pytest.raises(OptionsError, match=r"llama3\.1:latest"):
        small_stack(aliases={"a": "llama3.1:latest"})


def test_groups_of_files_take_what_they_are_for() -> None:
    UrlArchive(url="https://h.example/llama.tar.gz", sha256=DIGEST, subdirectory="vendor/llama.cpp")
    PythonSdist(package="llama-cpp-python", version="0.3.36", sha256=DIGEST)
    LocalFile(path="~/models/m.gguf", sha256=DIGEST)
    assert issubclass(HubModel, Options)


def test_what_ollama_takes_as_a_time_is_taken() -> None:
    for value in ("0", "-1", "+5", "1h30m", "1.5h", ".5h", "5.m", "+5m", "-1m", "90", "5µs", "5μs"):
        assert ollama(keep_alive=value).keep_alive == value


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(float("nan"), id="none"),
        pytest.param(float("inf"), id="endless"),
        pytest.param(10**30, id="large"),
    ],
)
def test_a_parameter_that_is_no_number_of_ollamas_is_refused(number: float) -> None:
    gguf = LocalFile(path="/models/m.gguf", sha256=DIGEST)
    for name in ("temperature", "seed"):
        with pytest.raises(OptionsError, match=r"is no number that Ollama can read|is a whole number"):
            OllamaModel(name="a", gguf=gguf, parameters={name: number})


OTHER_FORMS: Mapping[str, Callable[[], object]] = {
    "a login without a scheme": lambda: UrlFile(url="ada:hunter22@h.example/m.gguf", sha256=DIGEST),
    "a parameter of an address": lambda: UrlFile(url="https://h/?x=1&token=hunter22-and-more", sha256=DIGEST),
    "AWS' form": lambda: native(port="hunter2XUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEYs"),
    "a UUID": lambda: native(port="5b3c1f0e-8a57-4d2e-9c41-0f6f2f9f7d10"),
    "a phrase for the name of its variable": lambda: EnvSecret("hunter2-and-more"),
    "a word for the name of its variable": lambda: EnvSecret("hunter2").reveal(),
    "a phrase for its file": lambda: FileSecret("hunter2-and-more").reveal(),
}


@pytest.mark.parametrize("case", OTHER_FORMS)
def test_a_secret_in_another_form_is_not_shown(case: str) -> None:
    with pytest.raises(OptionsError) as error:
        OTHER_FORMS[case]()
    assert "hunter2" not in str(error.value)
    assert "5b3c1f0e-8a57-" not in str(error.value)


@pytest.mark.parametrize(
    ("provider", "mode"),
    [
        pytest.param(native(), "embedding", id="llama-server"),
        pytest.param(native(embeddings=True), "rerank", id="llama-server, embeddings"),
        pytest.param(python(name="native"), "embedding", id="Python"),
        pytest.param(vllm(name="native", runner="generate"), "embedding", id="vLLM that generates"),
        pytest.param(vllm(name="native", runner="pooling"), "chat", id="vLLM that pools"),
    ],
)
def test_a_route_of_a_mode_that_its_server_is_not_started_for_is_refused(provider: Any, mode: Any) -> None:
    route = Route(name="n", deployments=[Deployment(provider="native")], mode=mode)
    with pytest.raises(OptionsError, match=f"its mode is {mode}, and .* has only .*, as declared"):
        plan_of(small_stack(providers=[provider], routes=[route], aliases={}))
