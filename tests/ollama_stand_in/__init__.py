"""A stand-in for the Ollama server, held to recorded exchanges of the real one (0.32.15).

No package that the lab can reach carries the Ollama server. `server` is the program, `archive` packs it as the real
releases are packed, `registry` is a model registry for it to pull from, `recorded` the exchanges that
`tests/unit/tests/ollama_stand_in` and `tests/lab/test_ollama_stand_in.py` replay.
"""
