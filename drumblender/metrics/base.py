"""The mean over items, which all metrics are."""

from abc import abstractmethod

import torch
from torch import Tensor
from torchmetrics import Metric


class MeanOverItems(Metric):
    """Mean over all items of a distance, which a subclass defines for one item."""

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, input: Tensor, target: Tensor) -> None:
        """Measure the items of one batch.

        Shape:
            - input, target: (..., N)

        Raises:
            ValueError: if ``input`` and ``target`` have different shapes.
        """
        if input.shape != target.shape:
            raise ValueError(
                f"input and target have different shapes: {tuple(input.shape)} and "
                f"{tuple(target.shape)}; cut or pad one to the length of the other."
            )
        num_samples = input.shape[-1]
        for x, y in zip(input.reshape(-1, num_samples), target.reshape(-1, num_samples)):
            self.total += self.distance(x.float(), y.float())
            self.count += 1

    def compute(self) -> Tensor:
        """Return the mean over all items since the last reset, a scalar.

        It is NaN if there were no items.
        """
        return self.total / self.count

    @abstractmethod
    def distance(self, input: Tensor, target: Tensor) -> Tensor:
        """Measure one resynthesis against its target, both (N,). A subclass defines this."""


class MeanOverSpectra(MeanOverItems):
    """Mean over all items of a distance of spectrograms, which a subclass defines for one item.

    Args:
        n_fft: length of the Fourier transform and of the Hann window, in samples.
        hop_size: distance between frames, in samples.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_size: int):
        super().__init__()
        self.n_fft = n_fft
        self.hop_size = hop_size
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def magnitude(self, x: Tensor) -> Tensor:
        """Compute the magnitude of the short-time Fourier transform, (N,) to (K, T)."""
        spectrum = torch.stft(
            x,
            self.n_fft,
            self.hop_size,
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.abs()
