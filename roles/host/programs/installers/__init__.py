"""Making installs: models, environments, builds and releases, each in its own folder beside what is running."""
