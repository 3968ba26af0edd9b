"""Asks a llama.cpp's libraries which backends they have: without the one for the cards the server would be slow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from roles.contract.recipes import BackendCheck
from roles.host.programs.console import HostError
from roles.host.programs.processes import LONGEST_TRY, run

_LIBRARY = "libggml.so"
BACKENDS_OF = """
import ctypes, pathlib, sys
folder = pathlib.Path(sys.argv[1])
try:
    ggml = ctypes.CDLL(str(folder / "libggml.so"))
    ggml.ggml_backend_load_all_from_path(str(folder).encode())
    ggml.ggml_backend_reg_count.restype = ctypes.c_size_t
    ggml.ggml_backend_reg_get.restype = ctypes.c_void_p
    ggml.ggml_backend_reg_get.argtypes = [ctypes.c_size_t]
    ggml.ggml_backend_reg_name.restype = ctypes.c_char_p
    ggml.ggml_backend_reg_name.argtypes = [ctypes.c_void_p]
    for number in range(ggml.ggml_backend_reg_count()):
        print("has", ggml.ggml_backend_reg_name(ggml.ggml_backend_reg_get(number)).decode())
except (OSError, AttributeError) as error:
    print("fails", error)
for library in sorted(folder.glob("libggml-*.so")):
    try:
        ctypes.CDLL(str(library))
        print("loads", library.name)
    except OSError as error:
        print("fails", error)
"""
"""Lists backends that are linked in and those that are loaded at the start. CUDA's is listed without a card too,
Vulkan's only if Vulkan finds a driver."""

_LIBRARIES = {"CUDA": "libggml-cuda.so", "ROCm": "libggml-hip.so", "Vulkan": "libggml-vulkan.so"}


def check_backend(
    wanted: BackendCheck | None,
    folder: Path,
    title: str,
    user: str | None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Check that what was installed into `folder` has the backend that its recipe wants; none = it wants none.

    Args:
        environment: variables with which its libraries load.

    Raises:
        HostError: it lacks the backend; with the cause and the fix.
    """
    if wanted is None:
        return
    name, libraries = wanted.name, wanted.libraries
    found = sorted(folder.glob(f"{libraries}/{_LIBRARY}"))
    if not found:
        raise HostError(
            f"{title}: there is no {_LIBRARY} in its `{libraries}`, so it is unknown whether it has {name}; "
            "take one with shared libraries, or fix `subdirectory`"
        )
    said: list[str] = []
    what = f"{title}: asking which backends it has"
    command = ["/usr/bin/python3", "-I", "-S", "-c", BACKENDS_OF, str(found[0].parent)]
    run(
        command,
        what=what,
        user=user,
        devices=True,
        environment=environment,
        on_line=said.append,
        longest=LONGEST_TRY,
    )
    backends, failures, libraries_that_load = (_after(word, said) for word in ("has ", "fails ", "loads "))
    if name in backends:
        return
    if failures:
        cause = f"{'; '.join(failures)}: install that on the host, or give it as `runtime` of a release"
    elif _LIBRARIES.get(name) in libraries_that_load:
        cause = (
            f"its {_LIBRARIES[name]} is there and finds no driver: install the {name} part of the card's driver "
            "(for Vulkan, `vulkaninfo --summary` shows what is there)"
        )
    else:
        cause = f"take one that is made for {name}, or fix `backend`"
    raise HostError(f"{title}: it is to compute on {name}, and has only {', '.join(backends) or 'nothing'}: {cause}")


def _after(word: str, lines: list[str]) -> list[str]:
    """What follows a word at the start of lines, without duplicates."""
    return list(dict.fromkeys(line.removeprefix(word) for line in lines if line.startswith(word)))
