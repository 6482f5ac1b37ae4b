"""Networks: encoder and decoder bodies, one family member per file, tensors to distribution parameters."""

from models.networks._absent import Absent
from models.networks._base import Network, evaluate
from models.networks._weightless import Weightless

__all__ = ["Absent", "Network", "Weightless", "evaluate"]
