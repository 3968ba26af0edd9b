"""The LiteLLM gateway."""

from roles.litellm.options import LiteLLM
from roles.litellm.plan import CONFIG as LITELLM_CONFIG
from roles.litellm.plan import PUBLIC_VARIABLES as LITELLM_VARIABLES
from roles.litellm.plan import VERSION as LITELLM_VERSION
from roles.litellm.plan import plan_gateway
from roles.litellm.tls import Cors, Tls
from roles.plan import register

ROOM = register("litellm", {LiteLLM: plan_gateway})

__all__ = ["LITELLM_CONFIG", "LITELLM_VARIABLES", "LITELLM_VERSION", "ROOM", "Cors", "LiteLLM", "Tls"]
