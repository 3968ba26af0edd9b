"""Writing, trying out, activating and going back to generations, and the history of their results."""
