"""What this machine knows of the models that an inventory names."""

from __future__ import annotations

from pathlib import Path

from roles.fit.file import facts_of_file
from roles.fit.stored import Facts
from roles.options import LocalFile
from roles.plan import LoadSource, not_known


def facts_of_source(source: LoadSource) -> Facts | str:
    """The facts of a model whose file lies here; of any other why there are none."""
    if not isinstance(source, LocalFile):
        return not_known(source)
    try:
        return facts_of_file(Path(source.path).expanduser())
    except OSError as error:
        return f"{source.path} cannot be read: {error.strerror}"
    except ValueError as error:
        return f"{source.path}: {error}"
