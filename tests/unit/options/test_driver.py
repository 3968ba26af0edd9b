"""The driver in an inventory: what can never work is refused when it loads."""

from __future__ import annotations

from typing import Any

import pytest

from roles.options import NvidiaDriver, OptionsError, UrlFile
from tests.stacks import small_stack, user_scope

KEY = UrlFile(url="https://nvidia.example.com/debian12/x86_64/key.pub", sha256="a" * 64)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"source": "nvidia"}, "needs `repository` and `key`", id="no repository"),
        pytest.param(
            {"source": "nvidia", "repository": "https://nvidia.example.com/debian12/x86_64"},
            "needs `repository` and `key`",
            id="an unsigned repository",
        ),
        pytest.param({"key": KEY}, '`key` is for source="nvidia" alone', id="a key that nothing is signed with"),
        pytest.param({"source": "installed", "version": "580"}, "installs nothing", id="a version of nothing"),
        pytest.param({"source": "installed", "hold": False}, "does nothing", id="nothing at all"),
        pytest.param({"version": "latest"}, 'such as "580"', id="a word for a version"),
        pytest.param({"version": "580.*"}, 'such as "580"', id="a pattern"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionsError, match="NvidiaDriver: ") as refused:
        NvidiaDriver(**options)
    assert told in str(refused.value)


def test_user_scope_installs_no_driver() -> None:
    with pytest.raises(OptionsError, match="`driver` needs root, which user scope does not have"):
        small_stack(scope=user_scope(), driver=NvidiaDriver())
