"""Small configurations of LiteLLM's proxy, one a way to write something, with what the pinned release does with each.

`entries.py` holds the format, the modules beside it the entries of some sections, `start.py` starts LiteLLM with each,
and `started.json` is the table of what it did. Write the table with:

    LITELLM_ENV/bin/python -m tests.lint_corpus.start --write

where LITELLM_ENV is an environment with the pinned LiteLLM (`tests/litellm_keys.py` says how to make it).
"""
