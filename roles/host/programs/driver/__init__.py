"""The graphics driver as packages: what is there, installing, holding, letting go."""
