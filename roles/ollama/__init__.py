"""Ollama."""

from roles.ollama.options import Ollama, OllamaModel, OllamaRelease
from roles.ollama.plan import plan_ollama
from roles.options import Service
from roles.plan import Planner

PLANNERS: dict[type[Service], Planner] = {Ollama: plan_ollama}

__all__ = ["PLANNERS", "Ollama", "OllamaModel", "OllamaRelease"]
