"""The program `bin/gpu`, as a generation has it."""

from __future__ import annotations

from pathlib import Path

from roles.plan.gpu_unit import gpu_files


def write_gpu_program(generation: Path) -> Path:
    """Write it below the folder; gives its path."""
    for name, text in gpu_files().items():
        path = generation / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    program = generation / "bin/gpu"
    program.chmod(0o755)
    return program
