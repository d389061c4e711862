import numpy as np
import pytest
import torch

from drumblender.analysis.fit import fit_modes
from drumblender.analysis.least_squares import conjugate_gradients
from drumblender.analysis.subbands import split
from drumblender.synths import modal_synth


def test_bands_hold_a_tone_at_its_amplitude_and_offset():
    num_samples, omega = 48000, 2 * np.pi * 5000 / 48000
    x = 0.7 * np.cos(omega * np.arange(num_samples) + 0.4)
    bands = split(x.astype(np.float32), 188, omega)
    band = int(np.rint(omega / bands.width))
    flat = bands.samples[band].reshape(-1)[8:-8]
    time = (np.arange(len(flat)) + 0.5) * num_samples / len(flat) - 0.5
    expected = 0.7 * np.exp(1j * ((omega - bands.centers[band]) * time + 0.4))
    inner = slice(300, -300)
    np.testing.assert_allclose(flat[inner], expected[inner], atol=2e-3)
    np.testing.assert_allclose(bands.power[:, 20:-20].sum(0), 0.49, rtol=0.01)


def test_conjugate_gradients_solve_the_penalized_least_squares_problem():
    rng = np.random.default_rng(0)
    segments, rows, columns = 7, 32, 3
    basis = rng.standard_normal((segments, rows, 2 * columns)).astype(np.float32)
    target = rng.standard_normal((segments, rows)).astype(np.float32)
    ridge, bend = np.array([0.1, 0.2, 0.3]), np.array([0.0, 0.01, 0.1])
    frames, scale = segments - 1, rows / 3
    matrix = np.zeros((segments, rows, frames, columns))
    for s in range(segments):
        if s > 0:
            matrix[s, :, s - 1] = basis[s, :, :columns]
        if s < frames:
            matrix[s, :, s] = basis[s, :, columns:]
    matrix = matrix.reshape(segments * rows, -1)
    second = np.diff(np.eye(frames), n=2, axis=0)
    normal = matrix.T @ matrix + scale * (
        np.kron(np.eye(frames), np.diag(ridge)) + np.kron(second.T @ second, np.diag(bend))
    )
    expected = np.linalg.solve(normal, matrix.T @ target.reshape(-1)).reshape(frames, columns)
    np.testing.assert_allclose(
        conjugate_gradients(basis, target, ridge, bend),
        expected,
        atol=0.02 * np.abs(expected).max(),
    )


@pytest.mark.parametrize("num_samples", [24000, 23987])
def test_what_the_synthesizer_played_is_found_again(num_samples):
    """Frequencies 10 Hz off, the other parameters unknown: the fit finds them all."""
    frames = num_samples // 256 + 1
    time = np.linspace(0, 1, frames)
    omega = 2 * np.pi / 48000 * np.stack([300 + 40 * time, 1600 - 60 * time, 7000 + 0 * time])
    amplitude = np.stack([0.5 * np.exp(-2 * time), 0.3 - 0.2 * time, 0.2 * np.exp(-4 * time)])
    phase = np.array([0.1, 2.0, -1.0])
    played = [torch.from_numpy(p)[None] for p in (omega, amplitude, phase[:, None])]
    x = modal_synth(played[0], played[1], num_samples, played[2])[0, 0].numpy().astype(np.float32)
    modes = fit_modes(x, omega + 2 * np.pi * 10 / 48000, np.ones(3), 0, frames)
    # The beginning rings around into the last frames of a band, where this signal stops at once.
    inner = slice(4, -8)
    np.testing.assert_allclose(modes.omega[:, inner], omega[:, inner], atol=2e-4)
    np.testing.assert_allclose(modes.amplitude[:, inner], amplitude[:, inner], rtol=0.06)
    again = [torch.from_numpy(p)[None] for p in (modes.omega, modes.amplitude)]
    y = modal_synth(*again, num_samples, torch.from_numpy(modes.phase)[None, :, None])[0, 0]
    assert 10 * np.log10(np.square(y.numpy() - x).sum() / np.square(x).sum()) < -30
