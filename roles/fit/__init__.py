"""The memory plan: what a model takes of a card and of main memory, known before it is started.

Pure arithmetic. Each formula names its source; what is not known is said, never guessed.
"""
