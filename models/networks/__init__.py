"""Networks: encoder and decoder bodies, one family member per file, tensors to distribution parameters."""

from models.networks._base import Network, evaluate

__all__ = ["Network", "evaluate"]
