"""Writing, trying out, activating and rolling back to generations, and the history of their results."""
