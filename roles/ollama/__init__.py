"""Ollama."""

from roles.ollama.options import Ollama, OllamaModel, OllamaRelease
from roles.ollama.plan import plan_ollama
from roles.plan import register

ROOM = register("ollama", {Ollama: plan_ollama})

__all__ = ["ROOM", "Ollama", "OllamaModel", "OllamaRelease"]
