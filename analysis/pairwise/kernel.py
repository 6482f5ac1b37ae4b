r"""Kernel: the log-sum of float32 codes on the CPU, compiled for its vector registers.

A term of Q costs two fused multiply-adds, t = z·σ⁻¹ − μσ⁻¹ and Q ← Q + t²: the arithmetic of the expansion
z² − 2zμ + μ² as a matrix product, without its cancellation. The kernel is the register-blocked outer product of Goto
and van de Geijn (2008, doi:10.1145/1356052.1356053): ``QUERIES`` points by ``LANES`` components are held in registers
over ``DEPTH`` dimensions in float32, and these partial sums are added in float64. The log-sum-exp keeps a running
maximum per point and evaluates exp only where a group of lanes comes within ``REACH`` nats of it, which leaves out at
most a share N·e^−REACH of the sum. Threads share components and points, each with its own running sums.
"""

from __future__ import annotations

import itertools
import math
from typing import final, override

import numpy as np
import torch
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from torch import Tensor

from analysis.compilation import njit
from analysis.pairwise._base import RunningSum
from analysis.threads import in_threads

REACH, DEPTH = 40.0, 64
# The sums, inverse scales, shifts and a temporary must fit the vector registers: 32 of 512 bits, else 16 of 256.
QUERIES, LANES = (12, 32) if binding.get_host_cpu_features().get("avx512f") else (4, 16)
# Points whose distances to one panel of components are held at once: enough to amortise packing, few enough for cache.
GROUP = 2560


@final
class Kernel(RunningSum):
    """Running log-sum of the compiled kernel: per thread and point the smallest Q and the sum relative to it."""

    def __init__(self, points: Tensor) -> None:
        self.num_points, dims = points.shape
        tiles = -(-self.num_points // QUERIES)
        padded = torch.nn.functional.pad(points, (0, 0, 0, tiles * QUERIES - self.num_points))
        self.points = padded.view(tiles, QUERIES, dims).transpose(1, 2).contiguous().numpy()
        self.groups = np.linspace(0, tiles, 1 + -(-self.num_points // GROUP), dtype=np.int64)
        self.nearest = np.full((torch.get_num_threads(), tiles, QUERIES), np.inf)
        self.total = np.zeros_like(self.nearest)

    @override
    def add(self, loc: Tensor, scale: Tensor, excluded: Tensor) -> None:
        exclude = np.full(self.nearest[0].shape, -1)
        exclude.flat[: self.num_points] = excluded.numpy()
        panels = -(-len(loc) // LANES)
        step = LANES * min(32, -(-panels // (4 * len(self.nearest))))
        # Threads draw from one iterator, so a slow one takes fewer; the kernel releases the interpreter lock.
        tasks = itertools.product(itertools.pairwise(self.groups), range(0, len(loc), step))
        arrays = self.points, exclude, loc.contiguous().numpy(), scale.contiguous().numpy()

        def work(thread: int) -> None:
            panel = np.zeros((DEPTH, 2, LANES), np.float32)
            quadratic = np.empty((int(np.diff(self.groups).max()), QUERIES, LANES))
            for (low, high), start in tasks:
                _scan(*arrays, low, high, start, step, panel, quadratic, self.nearest[thread], self.total[thread])

        in_threads(work)

    @override
    def result(self) -> Tensor:
        logs = torch.from_numpy(self.total).log() - 0.5 * torch.from_numpy(self.nearest)
        return logs.logsumexp(0).flatten()[: self.num_points]


@intrinsic
def _accumulate(typingctx, queries, panel, base, quadratic, reach):
    """quadratic[q, j] = base[q, j] + Σ_d (queries[d, q]·panel[d, 0, j] + panel[d, 1, j])², as vector instructions.

    Returns a bit mask of the queries q with any quadratic[q, j] < reach[q] afterwards. Written as LLVM vectors because
    no loop nest makes the compiler keep QUERIES × LANES accumulators in registers.
    """

    def codegen(context, builder, signature, arguments):
        arrays = [context.make_array(t)(context, builder, a) for t, a in zip(signature.args, arguments, strict=True)]
        index, single, double = ir.IntType(64), ir.FloatType(), ir.DoubleType()
        lanes, wide = ir.VectorType(single, LANES), ir.VectorType(double, LANES)
        pointees = single, lanes, wide, wide, double
        z, p, b, q, r = (builder.bitcast(a.data, t.as_pointer()) for a, t in zip(arrays, pointees, strict=True))
        name = f"llvm.fmuladd.v{LANES}f32"
        fma = builder.module.declare_intrinsic(name, fnty=ir.FunctionType(lanes, [lanes] * 3))

        def load(pointer, offset):
            return builder.load(builder.gep(pointer, [offset]), align=4)

        def splat(scalar, vector):
            first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.IntType(32)(0))
            return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))

        sums = [cgutils.alloca_once_value(builder, ir.Constant(lanes, None)) for _ in range(QUERIES)]
        with cgutils.for_range(builder, builder.extract_value(arrays[0].shape, 0)) as loop:
            row = builder.mul(loop.index, index(2))
            inverse = load(p, row)
            shift = load(p, builder.add(row, index(1)))
            row = builder.mul(loop.index, index(QUERIES))
            for i, total in enumerate(sums):
                point = splat(load(z, builder.add(row, index(i))), lanes)
                t = builder.call(fma, [point, inverse, shift])
                builder.store(builder.call(fma, [t, t, builder.load(total)]), total)
        hits = index(0)
        for i, total in enumerate(sums):
            value = builder.fadd(load(b, index(i)), builder.fpext(builder.load(total), wide))
            builder.store(value, builder.gep(q, [index(i)]), align=4)
            near = builder.fcmp_ordered("<", value, splat(load(r, index(i)), wide))
            mask = builder.bitcast(near, ir.IntType(LANES))
            bit = builder.zext(builder.icmp_unsigned("!=", mask, ir.IntType(LANES)(0)), index)
            hits = builder.or_(hits, builder.shl(bit, index(i)))
        return hits

    return types.int64(queries, panel, base, quadratic, reach), codegen


# Distances may be infinite but are never NaN: inputs are finite and scales are normal numbers.
FAST_MATH = {"nnan", "nsz", "reassoc", "contract"}


@njit(inline="always", fastmath=FAST_MATH)
def exp_float32(x: np.float32) -> np.float32:
    """exp(x) for x ≤ 0 to 1e-7, flushed to about 1e-35 below −80 (Cephes' expf): unlike libm's, it vectorises."""
    x = max(x, np.float32(-80.0))
    k = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - k * np.float32(0.693359375) + k * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    return p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(nogil=True, cache=True, fastmath=FAST_MATH)
def _log_determinant(scale: np.ndarray) -> float:
    """Σ_d ln σ_d in float64: one logarithm per ``DEPTH`` significands, and the sum of the exponents."""
    exponents, logs = 0, 0.0
    for low in range(0, len(scale), DEPTH):
        product = 1.0
        for s in scale[low : low + DEPTH]:
            bits = np.float32(s).view(np.int32)
            exponents += int(bits >> np.int32(23)) - 127
            product *= float(np.int32((bits & np.int32(0x7FFFFF)) | np.int32(0x3F800000)).view(np.float32))
        logs += math.log(product)
    return logs + exponents * math.log(2.0)


@njit(nogil=True, cache=True, fastmath=FAST_MATH)
def _add_exp(quadratic: np.ndarray, nearest: np.ndarray, total: np.ndarray, query: int) -> None:
    """total Σ exp(−(Q − nearest)/2) with the new terms, relative to the new minimum."""
    lowest = quadratic[0]
    for lane in range(LANES):
        lowest = min(lowest, quadratic[lane])
    if lowest == np.inf:
        return
    if lowest < nearest[query]:
        total[query] *= math.exp(0.5 * (lowest - nearest[query]))
        nearest[query] = lowest
    peak, part = nearest[query], np.float32(0.0)
    for lane in range(LANES):
        part += exp_float32(np.float32(0.5 * (peak - quadratic[lane])))
    total[query] += part


@njit(nogil=True, cache=True, fastmath=FAST_MATH)
def _scan(points, exclude, loc, scale, low, high, start, step, panel, quadratic, nearest, total) -> None:
    """Add components [start, start + step) to the running sums of the point tiles [low, high).

    With −2 log of its normaliser as the start of each Q, a component's log-density is −Q/2.
    """
    dims = loc.shape[1]
    constant = np.empty((QUERIES, LANES))
    reach = np.empty(QUERIES)
    for first in range(start, min(start + step, len(loc)), LANES):
        count = min(LANES, len(loc) - first)
        constant[:] = np.inf
        for lane in range(count):
            constant[:, lane] = 2.0 * _log_determinant(scale[first + lane]) + dims * math.log(2.0 * math.pi)
        for begin in range(0, dims, DEPTH):
            depth = min(DEPTH, dims - begin)
            for lane in range(count):
                for d in range(depth):
                    inverse = np.float32(1.0) / scale[first + lane, begin + d]
                    panel[d, 0, lane] = inverse
                    panel[d, 1, lane] = -loc[first + lane, begin + d] * inverse
            for tile in range(low, high):
                for query in range(QUERIES):
                    reach[query] = nearest[tile, query] + 2.0 * REACH
                distances = quadratic[tile - low]
                base = distances if begin else constant
                part = points[tile, begin : begin + depth]
                hits: int = _accumulate(part, panel, base, distances, reach)  # type: ignore[call-arg]
                if begin + depth == dims:
                    for query in range(QUERIES):
                        if (hits >> query) & 1:
                            lane = exclude[tile, query] - first
                            if 0 <= lane < LANES:
                                distances[query, lane] = np.inf
                            _add_exp(distances[query], nearest[tile], total[tile], query)
