"""Names, archives and servers that mean harm: what those say who want a file written where none belongs."""
