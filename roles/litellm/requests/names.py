"""What these modules and the gateway's plan call by the same names."""

CLIENT_HEADER = "X-AI-Backend-Client"
"""By it the front says whose key a request had."""

INSTANCE_KEY_VARIABLE = "INSTANCE_KEY"
"""Has the key that LiteLLM's processes require: the front replaces the client's key by it."""
MODELS_VARIABLE = "MODEL_MAPPINGS"
"""Has the path of the manifest's file of what the routes can do."""
LIMITS_VARIABLE = "AI_BACKEND_CLIENTS"
"""Has the path of the file of what each client may do."""
USAGE_VARIABLE = "USAGE_FILE"
"""Has the path of the file that requests are counted in; without it they are not."""
