"""The bench: what a deploy costs in SSH channels and seconds, beside the floor and an equal Ansible playbook."""
