"""The weights among the files of a model repository: without any, its server dies at its start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from roles.host.programs.below import shown
from roles.host.programs.console import HostError

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".npz")
"""How the names of files with weights end."""
_NO_WEIGHTS = ("training_args.bin", "optimizer.bin", "scheduler.bin", "optimizer.pt", "scheduler.pt")
"""What training leaves beside them."""
_SHOWN_NAMES = 12


def has_weights(paths: Iterable[str]) -> bool:
    names = (path.rsplit("/", 1)[-1] for path in paths)
    return any(name.endswith(WEIGHTS) and name not in _NO_WEIGHTS for name in names)


def listed(paths: Sequence[str]) -> str:
    """Names for a message, the weights first."""
    ordered = sorted(paths, key=lambda path: (not has_weights([path]), path))
    more = f" and {len(ordered) - _SHOWN_NAMES} more" if len(ordered) > _SHOWN_NAMES else ""
    return (", ".join(map(shown, ordered[:_SHOWN_NAMES])) or "nothing") + more


def check_weights(paths: Sequence[str], title: str) -> None:
    """
    Raises:
        HostError: none of a folder's files has weights.
    """
    if not has_weights(paths):
        raise HostError(
            f"{title}: no weights are there ({', '.join(f'*{end}' for end in WEIGHTS[:2])}), but {listed(paths)}: give "
            "the folder of the model itself"
        )
