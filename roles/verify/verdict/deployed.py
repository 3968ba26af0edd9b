"""What is deployed, until each module takes it from the contract."""

from roles.contract.verdict import Deployed, DeployedProvider, DeployedRoute, Endpoint

__all__ = ["Deployed", "DeployedProvider", "DeployedRoute", "Endpoint"]
