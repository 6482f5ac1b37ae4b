r"""Products: the dense layers of a traced update, written as the products of matrices that a processor makes fastest.

A layer gives x Wᵀ + b, of rows x ``(B, in)`` and weights W ``(out, in)``. oneDNN shares the rows of a product among the
threads, each of which then stores all of the second factor anew, in the order in which it reads it: with few images that
is most of Wᵀ's bytes for little work. (W xᵀ)ᵀ + b is the same sum; threads share the rows of W, and xᵀ is what each
stores. Its columns are contiguous, which is the order that the next layer's product would have xᵀ in. And b is added
where the next function of the sum is computed, not before the product in a pass of its own.
"""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

MOST_ROWS = 256
"""B above which layers stay as they are. An update of 784-400-400-32 took 0.89 to 0.96 of the time for 32 to 256 images
on two threads of an AMD EPYC, and 1.05 for 512: of more rows storing Wᵀ is a small part, and what is computed between
layers reads columns. On one thread all of these took the same time within what repeats differ by, but for 32 (0.9)."""

_ATEN = torch.ops.aten


def turn_layers(graph: GraphModule) -> int:
    """Writes x Wᵀ + b as (W xᵀ)ᵀ + b, in place, where that is faster; how many layers it wrote so.

    graph: traced, with the values of its nodes, on a processor.

    Layers in less than float32 are left: b would be added to what is rounded already.
    """
    layers = [node for node in graph.graph.nodes if _is_layer(node)]
    for node in layers:
        bias, rows, turned_weights = node.args
        with graph.graph.inserting_before(node):
            columns = graph.graph.call_function(_ATEN.t.default, (rows,))
            product = graph.graph.call_function(_ATEN.mm.default, (turned_weights.args[0], columns))
            turned = graph.graph.call_function(_ATEN.t.default, (product,))
            total = graph.graph.call_function(_ATEN.add.Tensor, (turned, bias))
        node.replace_all_uses_with(total)
        graph.graph.erase_node(node)
    graph.recompile()
    return len(layers)


def _is_layer(node: Node) -> bool:
    """Whether it is a bias ``(out,)`` and the product of few float32 rows with weights that were turned for it."""
    if node.target is not _ATEN.addmm.default or node.kwargs:
        return False
    bias, rows, weights = (argument for argument in node.args if isinstance(argument, Node))
    value = node.meta["val"]
    return (
        weights.target is _ATEN.t.default
        and bias.meta["val"].ndim == 1
        and value.dtype == torch.float32
        and value.shape[0] <= MOST_ROWS
    )
