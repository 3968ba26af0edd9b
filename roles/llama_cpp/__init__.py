"""llama.cpp: native builds and releases, `llama-server`, and the Python server."""

from roles.llama_cpp.builds import LlamaCppBuild, LlamaCppRelease, PythonWheel
from roles.llama_cpp.options import LlamaCppPython, LlamaServer, PythonServerModel
from roles.llama_cpp.plan import plan_python, plan_server
from roles.options import Service
from roles.plan import Planner

PLANNERS: dict[type[Service], Planner] = {LlamaServer: plan_server, LlamaCppPython: plan_python}

__all__ = [
    "PLANNERS",
    "LlamaCppBuild",
    "LlamaCppPython",
    "LlamaCppRelease",
    "LlamaServer",
    "PythonServerModel",
    "PythonWheel",
]
