"""The GPU check: the project's own programs on a real card. `README.md` says what it does and how it is run.

`__main__` and `packing` need nothing but Python, so that they run where nothing is installed; all else runs in the
environment that the pack carries.
"""
