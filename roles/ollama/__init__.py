"""Ollama."""

from roles.ollama.plan import plan_ollama
from roles.ollama.spec import Ollama, OllamaModel, OllamaRelease
from roles.plan import Planner
from roles.spec import Service

PLANNERS: dict[type[Service], Planner] = {Ollama: plan_ollama}

__all__ = ["PLANNERS", "Ollama", "OllamaModel", "OllamaRelease"]
