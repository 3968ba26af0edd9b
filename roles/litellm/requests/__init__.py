"""Ours in the gateway: what LiteLLM calls for each request. It runs in LiteLLM's own environment."""
