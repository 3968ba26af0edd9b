"""`ai-backend-fit MODEL.gguf`, or `python -m roles.fit MODEL.gguf`: what llama.cpp takes, before it is started.

Exit status: 0 = it fits, or nothing was said that it must fit into; 1 = it does not fit; 2 = the file cannot be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from roles.fit.file import facts_of_file
from roles.fit.llama_cpp import TYPES, Settings
from roles.fit.table import fits, size_of, table

_TOO_LARGE, _UNREADABLE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table and returns the exit status."""
    given = _parser().parse_args(arguments)
    settings = Settings(
        context=given.ctx_size,
        parallel=given.parallel,
        batch=given.ubatch_size,
        flash_attention=given.flash_attn == "on",
        key_type=given.cache_type_k,
        value_type=given.cache_type_v,
        gpu_layers=given.gpu_layers,
        cpu_experts=given.n_cpu_moe,
        embeddings=given.embeddings,
    )
    try:
        model = facts_of_file(Path(given.model))
    except OSError as error:
        return _refuse(f"{given.model} cannot be read: {error.strerror}; name a file that this user can read")
    except ValueError as error:
        return _refuse(f"{given.model} cannot be planned: {error}; name the GGUF file of a language model")
    if not (given.ctx_size or model.trained):
        return _refuse(f"{given.model} does not say for what context it was trained; give --ctx-size")
    print(table(model, settings, with_card=not given.cpu, memory=given.memory))
    return _TOO_LARGE if given.memory and not fits(model, settings, given.memory, with_card=not given.cpu) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ai-backend-fit",
        description="Computes what llama.cpp takes of a card and of main memory for a model. Options that "
        "llama-server has, too, have its names.",
        epilog="Exit status: 0 it fits, or no --memory was given; 1 it does not fit; 2 the file cannot be read.",
    )
    parser.add_argument("model", metavar="MODEL.gguf", help="the whole GGUF file; only its header is read")
    parser.add_argument("--ctx-size", type=_count, default=0, metavar="TOKENS", help="over all slots; default: trained")
    parser.add_argument("--parallel", type=_positive, default=1, metavar="SLOTS", help="default: 1")
    parser.add_argument("--ubatch-size", type=_positive, default=512, metavar="TOKENS", help="default: 512")
    parser.add_argument("--cache-type-k", choices=list(TYPES), default="f16", help="default: f16")
    parser.add_argument("--cache-type-v", choices=list(TYPES), default="f16", help="default: f16")
    parser.add_argument("--flash-attn", choices=["on", "off"], default="on", help="default: on")
    parser.add_argument("--gpu-layers", type=_count, metavar="LAYERS", help="default: all")
    parser.add_argument("--n-cpu-moe", type=_count, default=0, metavar="LAYERS", help="default: 0")
    parser.add_argument("--embeddings", action="store_true", help="it serves embeddings")
    parser.add_argument("--cpu", action="store_true", help="no card: all in main memory")
    parser.add_argument(
        "--memory", type=_size, metavar="SIZE", help='of the card (with --cpu: of the host), e.g. "24G"'
    )
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f'"{text}" is no whole number; give one such as 8192')
    return int(text)


def _positive(text: str) -> int:
    if _count(text) == 0:
        raise argparse.ArgumentTypeError("0 is too small; give 1 or more")
    return _count(text)


def _size(text: str) -> int:
    try:
        return size_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)
    return _UNREADABLE


def command() -> None:
    """The installed command."""
    sys.exit(main())


if __name__ == "__main__":
    command()
