"""Linear centred kernel alignment (CKA): the similarity of two sets of features of the same images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from medzoo.core.errors import DataError
from medzoo.engine.devices import to_float64

MIN_IMAGES = 4  # the unbiased estimator divides by n (n - 3)


@dataclass(frozen=True)
class LayerSimilarity:
    """The similarity of the features of one stage, before and after.

    Attributes:
        stage: The stage.
        cka: Linear CKA: 1 for equal up to rotation and scale, about 0 for unrelated; ``None`` where the features do
            not vary.
    """

    stage: str
    cka: float | None


class LinearHSIC:
    """The unbiased Hilbert-Schmidt independence criterion of two linear kernels, in one pass over batches.

    Biased HSIC grows with width over number of images: features of two unrelated networks on a hundred images then look
    much alike. The unbiased estimator does not. With linear kernels K = X X' and L = Y Y' every term of it is a
    sum over images, so that memory is p x q and no n x n matrix is made; the value is that of all images at
    once, whatever the batches.

    Source:
        Song et al., "Feature Selection via Dependence Maximization", JMLR 2012, equation 5 (HSIC_1); its use in CKA:
        Nguyen, Raghu, Kornblith, "Do Wide and Deep Networks Learn the Same Things?", ICLR 2021.
    """

    def __init__(self) -> None:
        self.n = 0
        # Sums over images of: x y', x, y, x |y|^2, y |x|^2, |x|^2 |y|^2, |x|^2, |y|^2.
        self._sums: list[Tensor] = []

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add a batch of ``float64 [b, p]`` and ``[b, q]`` features of the same images."""
        xx, yy = x.square().sum(1), y.square().sum(1)
        new = [x.T @ y, x.sum(0), y.sum(0), yy @ x, xx @ y, xx @ yy, xx.sum(), yy.sum()]
        self._sums = [old + more for old, more in zip(self._sums, new, strict=True)] if self._sums else new
        self.n += len(x)

    def value(self) -> float:
        """Return the criterion over all images so far; at least 4 are needed."""
        n = self.n
        cross, x, y, x_yy, y_xx, xx_yy, xx, yy = self._sums
        # K and L without their diagonals: the trace of their product, the sum of each, the sum of their product.
        trace = cross.square().sum() - xx_yy
        sums = (x @ x - xx) * (y @ y - yy)
        product = x @ cross @ y - x @ x_yy - y @ y_xx + xx_yy
        return float((trace + sums / ((n - 1) * (n - 2)) - 2 * product / (n - 2)) / (n * (n - 3)))


class LinearCKA:
    """Linear CKA of two sets of features of the same images, with unbiased HSIC, in one pass over batches.

    Unbiased means that unrelated features give 0 on average, so that single values may be slightly below 0.

    Example:
        >>> import torch
        >>> features = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
        >>> cka = LinearCKA()
        >>> cka.add(features, -3 * features.flip(1) + 5)  # the same but for rotation, scale and shift
        >>> round(cka.value(), 6)
        1.0

    Source:
        Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019, section 3.
    """

    def __init__(self) -> None:
        self._both, self._first, self._second = LinearHSIC(), LinearHSIC(), LinearHSIC()
        self._centres: tuple[Tensor, Tensor] | None = None

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add a batch of ``[b, p]`` and ``[b, q]`` features of the same images."""
        x, y = to_float64(x), to_float64(y)
        # A shift changes nothing but rounding: far from 0, features would lose the digits in which they vary.
        if self._centres is None:
            self._centres = x.mean(0), y.mean(0)
        x, y = x - self._centres[0], y - self._centres[1]
        self._both.add(x, y)
        self._first.add(x, x)
        self._second.add(y, y)

    def value(self) -> float | None:
        """Return CKA over all images so far, at most 1; ``None`` where one side does not vary.

        Raises:
            DataError: There are fewer than 4 images.
        """
        if self._both.n < MIN_IMAGES:
            raise DataError(f"CKA needs at least {MIN_IMAGES} images, got {self._both.n}")
        first, second = self._first.value(), self._second.value()
        # An estimate of what cannot be negative: it falls below 0 only where there is nothing but noise.
        return self._both.value() / (first * second) ** 0.5 if first > 0 and second > 0 else None
