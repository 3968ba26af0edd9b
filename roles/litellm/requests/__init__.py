"""What the gateway does with requests beyond LiteLLM's own settings. It runs inside LiteLLM's process.

LiteLLM calls three of these modules: `auth` says whose a request is, `hook` checks it, `counter` counts it. The others
know nothing of LiteLLM, but for `refusal`, an error of ours, and `log`, which keeps its journal short. Shipped to hosts
with `roles.contract`, and with nothing else of ours.
"""
