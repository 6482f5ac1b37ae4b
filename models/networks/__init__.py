"""Networks: encoder and decoder bodies, one family member per file, tensors to distribution parameters."""

from models.networks._base import Network
from models.registry import Registry

NETWORKS: Registry[Network] = Registry("network", __name__, Network)

__all__ = ["NETWORKS", "Network"]
