"""What the gateway does with requests beyond LiteLLM's own settings. It runs inside LiteLLM's process.

`mistakes` decides, from a request and what its route can do, and knows nothing of LiteLLM. `hook` is what LiteLLM
calls; `auth` says whose a request is, and `clients` what that client may do; `usage` counts requests, called by
`counter`; `log` keeps its journal short. Shipped to hosts with `roles.contract`, and with nothing else of ours.
"""
