"""llama.cpp: native builds and releases, `llama-server`, and the Python server."""

from roles.llama_cpp.builds import LlamaCppBuild, LlamaCppRelease, PythonWheel
from roles.llama_cpp.options import LlamaCppPython, LlamaServer, PythonServerModel
from roles.llama_cpp.plan import plan_python, plan_server
from roles.plan import register

ROOM = register("llama_cpp", {LlamaServer: plan_server, LlamaCppPython: plan_python})

__all__ = [
    "ROOM",
    "LlamaCppBuild",
    "LlamaCppPython",
    "LlamaCppRelease",
    "LlamaServer",
    "PythonServerModel",
    "PythonWheel",
]
