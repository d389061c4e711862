"""Products of waves, as problems of least squares need them, and the solution of these problems."""

from typing import List, NamedTuple, Optional

import torch
from torch import Tensor

from drumblender.analysis.separate.problem import Problem

# Numbers that are multiplied at once on a processor.
_CACHED = 2**17


class Products(NamedTuple):
    """Products of columns with each other and with the target, as least squares needs them.

    All are complex128.

    Attributes:
        own: products of conjugated columns with columns (G, C, C).
        mirror: products without conjugation (G, C, C), in real bands. None in others.
        right: products of conjugated columns with the target (G, C).
    """

    own: Tensor
    mirror: Optional[Tensor]
    right: Tensor

    def where(self, here: Tensor, other: "Products") -> "Products":
        """Return these products in bands where ``here`` (G,) is true, and the others elsewhere."""
        wide = here[:, None, None]
        mirror = None
        if self.mirror is not None and other.mirror is not None:
            mirror = torch.where(wide, other.mirror, self.mirror)
        own = torch.where(wide, other.own, self.own)
        return Products(own, mirror, torch.where(here[:, None], other.right, self.right))

    def first(self, count: int) -> "Products":
        """Keep only the first columns."""
        mirror = None if self.mirror is None else self.mirror[:, :count, :count]
        return Products(self.own[:, :count, :count], mirror, self.right[:, :count])

    def scaled(self, by: Tensor) -> "Products":
        """Multiply the columns by factors (G, C)."""
        down = by.conj()
        mirror = None if self.mirror is None else self.mirror * by[..., None] * by[:, None]
        return Products(self.own * down[..., None] * by[:, None], mirror, self.right * down)


def multiply(problem: Problem, columns: Tensor) -> Products:
    """Multiply columns (G, C, n) by each other and by the target, with weights.

    Analytic targets are columns times unknowns; real ones are the real part of that, whose normal
    equations also hold products of columns without conjugation.
    """
    weighted = columns * problem.weight[:, None]
    together = torch.cat([columns, problem.target[:, None].to(columns.dtype)], 1)
    made = (weighted.conj() @ together.mT).to(torch.complex128)
    own, right = made[..., :-1], made[..., -1]
    if not problem.is_real:
        return Products(own, None, right)
    return Products(0.5 * own, 0.5 * (weighted @ columns.mT).to(own.dtype), right)


class Weights(NamedTuple):
    """What the products of a problem have in common.

    Attributes:
        powers: weights times the time since the onset to the powers of 0, 1 and 2 (G, 3, n).
        targets: targets with the first two of these weights (G, 2, n).
    """

    powers: Tensor
    targets: Tensor


def weigh(problem: Problem) -> Weights:
    """Compute the weights of all products of a problem."""
    passed = problem.since.clamp(min=0).float()
    once = problem.weight * passed
    powers = torch.stack([problem.weight, once, once * passed], 1)
    return Weights(powers, powers[:, :2] * problem.target[:, None])


def of_waves(problem: Problem, weights: Weights, wave: Tensor, with_slopes: bool) -> Products:
    """Multiply waves by each other and by the target and, if asked for, their slopes, too.

    The slope of a wave is the wave times the time that has passed. So products of slopes are those
    of waves with other weights.
    """
    powers = weights.powers if with_slopes else weights.powers[:, :1]
    targets = weights.targets if with_slopes else weights.targets[:, :1]
    own: List[Tensor] = []
    mirror: List[Tensor] = []
    right: List[Tensor] = []
    # On a processor, so many bands at once that their columns stay in its cache.
    at_once = len(wave)
    if wave.device.type == "cpu":
        at_once = max(1, _CACHED // max(1, powers.shape[1] * wave[0].numel()))
    for rows in range(0, len(wave), at_once):
        part = slice(rows, rows + at_once)
        some = wave[part]
        weighted = (powers[part, :, None] * some[:, None]).flatten(1, 2).mT
        down = some.conj().resolve_conj()
        own.append(down @ weighted)
        right.append(targets[part] @ down.mT)
        if problem.is_real:
            mirror.append(some @ weighted)
    products = Products(
        _of_slopes(own, with_slopes),
        _of_slopes(mirror, with_slopes) if problem.is_real else None,
        torch.cat(right).flatten(1).to(torch.complex128),
    )
    if products.mirror is None:
        return products
    return products._replace(own=0.5 * products.own, mirror=0.5 * products.mirror)


def _of_slopes(moments: List[Tensor], with_slopes: bool) -> Tensor:
    """Arrange products of waves with each power of time (G, P, 3 P) as those of their slopes."""
    products = torch.cat(moments).to(torch.complex128)
    if not with_slopes:
        return products
    plain, once, twice = products.chunk(3, 2)
    return torch.cat([torch.cat([plain, once], 2), torch.cat([once, twice], 2)], 1)


def solve(products: Products, ridge: Tensor, relative: bool = True) -> Tensor:
    """Solve a problem of least squares with complex unknowns (G, C).

    Args:
        products: products of the columns and the target.
        ridge: damping of the unknowns.
        relative: whether the damping is relative to the energies of the columns.

    Shape:
        - ridge: (G, C)
    """
    if products.mirror is None:
        matrix, right = products.own.clone(), products.right
    else:
        plus, minus = products.own + products.mirror, products.own - products.mirror
        upper = torch.cat([plus.real, -plus.imag], 2)
        matrix = torch.cat([upper, torch.cat([minus.imag, minus.real], 2)], 1)
        ridge = torch.cat([ridge, ridge], 1)
        right = torch.cat([products.right.real, products.right.imag], 1)
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    scale = diagonal.real
    tiny = torch.where(scale > 0, 1e-12 * scale.amax(1, keepdim=True), 1)
    diagonal += (scale * ridge if relative else ridge) + tiny
    solution = torch.linalg.solve(matrix, right)
    return solution if products.mirror is None else torch.complex(*solution.chunk(2, 1))
