"""Envelope points from conjugate gradients, compared with dense least squares in NumPy."""

import numpy as np
import pytest
import torch

from drumblender.analysis.least_squares import (
    RATE,
    Problem,
    conjugate_gradients,
    end_weights,
    level_gain,
)

BANDS, FRAMES, MODES = 3, 6, 2
RIDGE = torch.tensor([[0.1, 0.2], [0.3, 0.1], [0.2, 0.2]])
BEND = torch.tensor([[0.01, 0.1], [0.05, 0.02], [0.1, 0.1]])


def problem(is_complex, is_real):
    """Noise instead of waves; in band 1 the first frame is silent, in band 2 there is one mode."""
    rng = torch.Generator().manual_seed(0)
    rows = torch.randn(BANDS, FRAMES + 1, MODES + 1, RATE, 2, generator=rng)
    real = torch.full((BANDS,), is_real)
    if is_real:
        rows[:, :, -1, :, 1] = 0
        rows[..., 1] *= is_complex
    sounding, there = torch.ones(BANDS, FRAMES).bool(), torch.ones(BANDS, MODES).bool()
    sounding[1, 0], there[2, 1] = False, False
    rows = torch.view_as_complex(rows) if is_complex else rows.flatten(-2)
    return Problem(rows, end_weights(FRAMES, FRAMES, rows.device), real, sounding, there)


def dense(p, band):
    """Matrix (samples, points) and target of a band: real parts of samples, then imaginary ones."""
    rows, is_complex = p.rows[band].numpy(), p.rows.is_complex()
    samples = rows if is_complex else rows[..., ::2] + 1j * rows[..., 1::2]
    fall, rise = p.ends[:, :, 0, ::2].numpy()
    matrix = np.zeros((FRAMES + 1, RATE, FRAMES, MODES), complex)
    for segment in range(FRAMES + 1):
        waves = samples[segment, :-1].T
        if segment > 0:
            matrix[segment, :, segment - 1] = fall[segment, :, None] * waves
        if segment < FRAMES:
            matrix[segment, :, segment] = rise[segment, :, None] * waves
    matrix, target = matrix.reshape(-1, FRAMES * MODES), samples[:, -1].reshape(-1)
    columns = [matrix, 1j * matrix] if is_complex else [matrix]
    matrix = np.concatenate(columns, 1)
    rows_of = [np.real, np.imag][: 1 if p.is_real[band] else 2]
    return np.concatenate([f(matrix) for f in rows_of]), np.concatenate(
        [f(target) for f in rows_of]
    )


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("is_real", [False, True])
def test_conjugate_gradients_solve_the_penalized_least_squares_problem(is_complex, is_real):
    p = problem(is_complex, is_real)
    found = conjugate_gradients(p, RIDGE, BEND).numpy()
    for band in range(BANDS):
        matrix, target = dense(p, band)
        scale = (1 if is_real else 2) * RATE / 3
        penalty = np.diag(np.tile(RIDGE[band].numpy(), FRAMES)).astype(float)
        sounding = p.sounding[band].numpy()
        for frame in range(FRAMES - 2):
            second = np.zeros(FRAMES)
            second[frame : frame + 3] = 1, -2, 1
            if sounding[frame] and sounding[frame + 2]:
                penalty += np.kron(np.outer(second, second), np.diag(BEND[band].numpy()))
        parts = 2 if is_complex else 1
        free = np.tile((sounding[:, None] & p.there[band].numpy()).reshape(-1), parts)
        normal = matrix.T @ matrix + scale * np.kron(np.eye(parts), penalty)
        expected = np.zeros(len(free))
        expected[free] = np.linalg.solve(normal[np.ix_(free, free)], (matrix.T @ target)[free])
        expected = expected.reshape(parts, FRAMES, MODES)
        actual = np.stack([found[band].real, found[band].imag][:parts])
        np.testing.assert_allclose(actual, expected, atol=0.02 * np.abs(expected).max())
        assert not actual[:, ~sounding].any()
        assert not actual[:, :, ~p.there[band].numpy()].any()


def test_bands_that_modes_cannot_follow_are_brought_to_their_level_by_6_db_at_most():
    p = problem(is_complex=False, is_real=False)
    envelopes = torch.rand(BANDS, FRAMES, MODES, generator=torch.Generator().manual_seed(1))
    played = []
    for band in range(BANDS):
        matrix, _ = dense(p, band)
        samples = (matrix @ envelopes[band].reshape(-1).numpy()).reshape(2, FRAMES + 1, RATE)
        power = np.square(samples).sum((0, 2)) / RATE
        played.append(0.5 * (power[1:] + power[:-1]))
    played = torch.from_numpy(np.stack(played)).float()
    for ratio, gain in ((0.5, 1), (1, 1), (2.25, 1.5), (100, 2)):
        found = level_gain(p, ratio * played, envelopes)
        torch.testing.assert_close(found, torch.full_like(found, gain), rtol=1e-3, atol=0)
