"""Making installs: models, environments, builds and releases, each in a folder of its own beside whatever runs."""
