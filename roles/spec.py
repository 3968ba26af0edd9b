"""Where the options were until 0.1.0: an inventory that still imports from here gets one message."""

from __future__ import annotations

from roles.options.errors import OptionsError, calling_line

raise OptionsError(f"{calling_line()}: `roles.spec` is now `roles.options`: write `from roles.options import …`")
