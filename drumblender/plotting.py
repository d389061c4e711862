"""Pictures of drum sounds: functions take tensors and return matplotlib figures.

matplotlib is imported where it is used, so that training without pictures does not wait for it.
Only its object-oriented interface is used, because pyplot keeps every figure alive and looks for a
display.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, List, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

from drumblender.files.atomic import in_one_step
from drumblender.files.fonts import any_script
from drumblender.files.text import printable

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LabeledSignals = Sequence[Tuple[str, Tensor]]

DYNAMIC_RANGE = 80.0  # dB shown below the loudest point of a figure
MIN_FREQUENCY = 20.0  # Hz, where spectrograms begin
FREQUENCY_TICKS = (20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)  # Hz
FRAMES = 480  # columns of a spectrogram
COLOR_MAP = "magma"
LINE_COLOR = "#51127c"  # a dark color of that map


def plot_resynthesis(
    target: Tensor, resynthesis: Tensor, sample_rate: float, title: Optional[str] = None
) -> "Figure":
    """Draw the waveform and the spectrogram of a recording above those of its resynthesis.

    Both rows share their axes and the color scale, so that they can be compared by eye. Silence at
    the end of both is not shown.

    Args:
        target: the recording.
        resynthesis: what a model makes of it.
        sample_rate: in Hz.
        title: text above the figure.

    Shape:
        - target, resynthesis: (N,), (1, N) or (1, 1, N)
    """
    signals = [("Target", target), ("Resynthesis", resynthesis)]
    return plot_parts(signals, sample_rate, title)


def plot_waveforms(
    signals: LabeledSignals, sample_rate: float, title: Optional[str] = None
) -> "Figure":
    """Draw waveforms below each other, on shared axes.

    Args:
        signals: pairs of a label and a signal.
        sample_rate: in Hz.
        title: text above the figure.

    Shape:
        - each signal: (N,), (1, N) or (1, 1, N); lengths may differ
    """
    signals = _prepare(signals)
    figure = _figure(8.0, 0.8 + 1.6 * len(signals), title)
    axes = figure.subplots(len(signals), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axis, (label, x) in zip(axes, signals):
        _draw_waveform(axis, x, sample_rate, label)
        axis.set_ylabel("Amplitude")
    axes[-1].set_xlabel("Time (s)")
    return figure


def plot_spectrograms(
    signals: LabeledSignals,
    sample_rate: float,
    title: Optional[str] = None,
    columns: int = 1,
) -> "Figure":
    """Draw spectrograms on shared axes and one color scale.

    Args:
        signals: pairs of a label and a signal, in reading order.
        sample_rate: in Hz.
        title: text above the figure.
        columns: number of spectrograms beside each other.

    Shape:
        - each signal: (N,), (1, N) or (1, 1, N); lengths may differ
    """
    signals = _prepare(signals)
    rows = math.ceil(len(signals) / columns)
    figure = _figure(max(8.0, 1.6 + 2.6 * columns), 0.8 + 2.3 * rows, title)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    _draw_spectrograms(figure, axes.flat[: len(signals)], signals, sample_rate)
    for axis in axes.flat[len(signals) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel("Frequency (Hz)")
    for axis in axes[-1]:
        axis.set_xlabel("Time (s)")
    return figure


def log_frequency_spectrogram(
    x: Tensor,
    sample_rate: float,
    window_size: int = 2048,
    hop_size: int = 256,
    num_bands: int = 240,
) -> Tensor:
    """Compute levels over time on a logarithmic frequency axis.

    A level is the mean power spectral density of a band. Bands reach from 20 Hz to half the sample
    rate, each in the same ratio to the next. The Fourier transform is zero-padded, so that bands at
    low frequencies, which are narrower than its bins, vary smoothly.

    Args:
        x: samples.
        sample_rate: in Hz.
        window_size: length of the Hann window, in samples.
        hop_size: distance between frames, in samples.
        num_bands: number of bands.

    Shape:
        - x: (N,)
        - Output: (num_bands, N // hop_size + 1), in dB; 0 dB is the peak of a full-scale sine

    >>> log_frequency_spectrogram(torch.zeros(4800), 48_000).shape
    torch.Size([240, 19])
    """
    n_fft = 4 * window_size
    window = torch.hann_window(window_size)
    spectrum = torch.stft(
        x, n_fft, hop_size, window_size, window, pad_mode="constant", return_complex=True
    )
    power = (spectrum / (window.sum() / 2)).abs().square().double()

    # Mean over a band = difference of the running integral over frequency at its edges. A band is
    # taken to be at least one bin wide, which amounts to linear interpolation between bins.
    bin_width = sample_rate / n_fft
    edges = _band_edges(sample_rate, num_bands)
    centers = (edges[1:] * edges[:-1]).sqrt()
    half_widths = (edges.diff() / 2).clamp(min=bin_width / 2)
    integral = torch.cat([torch.zeros_like(power[:1]), power.cumsum(0)])

    def integrate_to(frequency: Tensor) -> Tensor:
        """Integrate the power from 0 Hz to frequencies."""
        position = (frequency / bin_width + 0.5).clamp(0, len(integral) - 1)
        below = position.long().clamp(max=len(integral) - 2)
        fraction = (position - below).unsqueeze(1)
        return integral[below] * (1 - fraction) + integral[below + 1] * fraction

    density = integrate_to(centers + half_widths) - integrate_to(centers - half_widths)
    density = density / (2 * half_widths / bin_width).unsqueeze(1)
    return 10 * density.clamp(min=1e-20).log10().float()


def _band_edges(sample_rate: float, num_bands: int) -> Tensor:
    """Compute edges of bands of one ratio from 20 Hz to half the sample rate, in Hz."""
    octaves = math.log2(sample_rate / 2 / MIN_FREQUENCY)
    return MIN_FREQUENCY * 2 ** torch.linspace(0, octaves, num_bands + 1, dtype=torch.float64)


def figure_to_image(figure: "Figure") -> "np.ndarray":
    """Render a figure as an array (height, width, 3) of bytes from 0 to 255."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    with any_script(figure):
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_figure(figure: "Figure", path: Union[str, Path]) -> None:
    """Write a figure to a file. The file appears when it is complete, or not at all.

    Args:
        figure: the figure.
        path: file to write. Its suffix tells the format. Folders are made as needed.

    Raises:
        DrumblenderError: if the disk refuses the file.
    """
    path = Path(path)
    with in_one_step(path) as temporary, any_script(figure):
        figure.savefig(temporary, format=path.suffix[1:] or "png")


def _figure(width: float, height: float, title: Optional[str]) -> "Figure":
    """Make an empty figure, with a width and a height in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    if title:
        figure.suptitle(printable(title), parse_math=False)  # a name, not a formula
    return figure


def _prepare(signals: LabeledSignals) -> List[Tuple[str, Tensor]]:
    """Pad signals to one length, and cut the silence at which all of them end.

    Returns:
        Pairs of a label and a signal (N,).
    """
    flat = [x.detach().cpu().float().reshape(-1).nan_to_num() for _, x in signals]
    length = max(len(x) for x in flat)
    flat = [torch.nn.functional.pad(x, (0, length - len(x))) for x in flat]
    envelope = torch.stack(flat).abs().amax(0)
    audible = torch.nonzero(envelope > envelope.max() * 10 ** (-DYNAMIC_RANGE / 20))
    if len(audible):
        length = min(length, int(1.05 * (int(audible[-1]) + 1)) + 1)
    return [(label, x[:length]) for (label, _), x in zip(signals, flat)]


def _draw_waveform(axis: "Axes", x: Tensor, sample_rate: float, label: str) -> None:
    """Draw a waveform over time in seconds."""
    time = torch.arange(len(x)) / sample_rate
    axis.plot(time.numpy(), x.numpy(), color=LINE_COLOR, linewidth=0.6)
    axis.set_xlim(0, len(x) / sample_rate)
    axis.set_title(label, loc="left", fontsize="medium")
    axis.grid(color="0.9", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_spectrograms(
    figure: "Figure", axes: Iterable["Axes"], signals: LabeledSignals, sample_rate: float
) -> None:
    """Draw a spectrogram on each axis, with one color bar for all."""
    # As many cells as a picture shows, whatever the length.
    hops = [min(max(len(x) // FRAMES, 1), 1024) for _, x in signals]
    levels = [
        log_frequency_spectrogram(x, sample_rate, hop_size=hop)
        for (_, x), hop in zip(signals, hops)
    ]
    # Silence alone would otherwise show rounding errors as if they were sound.
    top = max(max(level.max().item() for level in levels), -120.0)
    ticks = [f for f in FREQUENCY_TICKS if f <= sample_rate / 2]
    axes = list(axes)
    for axis, (label, x), level in zip(axes, signals, levels):
        seconds = len(x) / sample_rate
        mesh = axis.pcolormesh(
            torch.linspace(0, seconds, level.shape[1] + 1).numpy(),
            _band_edges(sample_rate, len(level)).numpy(),
            (level - top).numpy(),
            cmap=COLOR_MAP,
            vmin=-DYNAMIC_RANGE,
            vmax=0,
            rasterized=True,  # a PDF would hold every cell as a shape
        )
        axis.set_yscale("log")
        axis.set_xlim(0, seconds)
        axis.set_ylim(MIN_FREQUENCY, sample_rate / 2)
        axis.set_yticks(ticks, [f"{f // 1000}k" if f >= 1000 else str(f) for f in ticks])
        axis.minorticks_off()
        axis.set_title(label, loc="left", fontsize="medium")
    grid = axes[0].get_gridspec()
    columns = 1 if grid is None else grid.ncols
    figure.colorbar(mesh, ax=axes, label="Level (dB)", fraction=0.1 / columns, pad=0.03 / columns)


def plot_modes(
    x: Tensor,
    time: Tensor,
    frequency: Tensor,
    level: Tensor,
    sample_rate: float,
    title: Optional[str] = None,
) -> "Figure":
    """Draw tracks of modes over a spectrogram, and their envelopes below it.

    Args:
        x: the recording.
        time: time of each frame, in seconds.
        frequency: frequencies of the modes, in Hz.
        level: levels of the modes, in dB. Levels 80 dB or more below the loudest are not drawn.
        sample_rate: in Hz.
        title: text above the figure.

    Shape:
        - x: (N,)
        - time: (F,)
        - frequency, level: (M, F)
    """
    from matplotlib.collections import LineCollection

    signals = _prepare([("Modes over the recording", x)])
    figure = _figure(9.0, 7.0, title)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.6, 1])
    _draw_spectrograms(figure, [above], signals, sample_rate)
    top = max(level.max().item(), -120.0) if level.numel() else 0.0
    for f, db in zip(frequency.numpy(), level.numpy()):
        heard = (db > top - DYNAMIC_RANGE) & (f > MIN_FREQUENCY)
        if not heard.any():
            continue
        points = list(zip(time.numpy(), f))
        pairs = [points[i : i + 2] for i in range(len(f) - 1) if heard[i] and heard[i + 1]]
        strength = float((db[heard].max() - top) / DYNAMIC_RANGE + 1)
        above.add_collection(LineCollection(pairs, colors="cyan", linewidths=0.4 + strength))
        shown = [value if keep else math.nan for value, keep in zip(db, heard)]
        below.plot(time.numpy(), shown, linewidth=0.3 + strength, color=LINE_COLOR, alpha=0.5)
    below.set_ylim(top - DYNAMIC_RANGE, top + 3)
    below.set_ylabel("Level (dB)")
    below.set_title("Envelopes of the modes", loc="left", fontsize="medium")
    below.grid(color="0.9", linewidth=0.6)
    below.set_xlabel("Time (s)")
    return figure


def plot_parts(
    signals: LabeledSignals, sample_rate: float, title: Optional[str] = None
) -> "Figure":
    """Draw one row for each signal, with its waveform and its spectrogram.

    All rows share their axes and the color scale.

    Args:
        signals: pairs of a label and a signal, such as a recording, its resynthesis and its parts.
        sample_rate: in Hz.
        title: text above the figure.

    Shape:
        - each signal: (N,), (1, N) or (1, 1, N); lengths may differ
    """
    signals = _prepare(signals)
    figure = _figure(11.0, 0.8 + 2.1 * len(signals), title)
    axes = figure.subplots(
        len(signals), 2, sharex=True, sharey="col", width_ratios=[1, 1.25], squeeze=False
    )
    _draw_spectrograms(figure, axes[:, 1], signals, sample_rate)
    for (waveform, spectrogram), (label, x) in zip(axes, signals):
        _draw_waveform(waveform, x, sample_rate, label)
        waveform.set_ylabel("Amplitude")
        spectrogram.set_ylabel("Frequency (Hz)")
    for axis in axes[-1]:
        axis.set_xlabel("Time (s)")
    return figure
