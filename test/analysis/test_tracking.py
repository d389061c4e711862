import numpy as np
import torch

from drumblender.analysis.peaks import Peaks
from drumblender.analysis.tracking import on_grid, track_peaks


def peaks_of(*sounds):
    """Peaks from lists of frequencies, one list per frame; phases tell which peak is which."""
    found = [
        (i, f, hz) for i, frames in enumerate(sounds) for f, at in enumerate(frames) for hz in at
    ]
    sound, frame, hz = torch.tensor(found, dtype=torch.float64).reshape(-1, 3).T
    num_frames = max(len(frames) for frames in sounds)
    numbers = sound.long(), frame.long()
    return Peaks(*numbers, hz, torch.ones_like(hz), hz / 1000, len(sounds), num_frames)


def tracks_of(*frames, tolerance=0.1, min_length=1):
    """Tracks of one sound: first frame and frequencies, in the order in which they begin."""
    peaks = peaks_of(frames)
    tracks = track_peaks(peaks, tolerance, min_length)
    found = []
    for number in range(tracks.most):
        own = tracks.number == number
        assert (peaks.frame[own].diff() == 1).all()
        found.append((int(peaks.frame[own][0]), peaks.frequency[own].tolist()))
    return found


def test_a_frame_without_peaks_ends_tracks_and_shifts_nothing():
    assert tracks_of([100], [101], [], [102], [103]) == [(0, [100, 101]), (3, [102, 103])]


def test_each_value_stays_with_its_peak_on_the_grid():
    peaks = peaks_of([[100, 400], [101, 300, 405], [410]], [[], [50], [51]])
    tracks = track_peaks(peaks, 0.1, 2)
    assert tracks.most == 2
    grid = on_grid(peaks, tracks, torch.tensor([[1, 0], [7, 0]]))
    expected = [[[0.4, 0.405, 0.41], [0.1, 0.101, 0]], [[0, 0, 0], [0, 0.05, 0.051]]]
    assert grid.of(peaks.phase).tolist() == expected


def test_tracks_that_begin_in_the_same_frame_stay_apart():
    assert tracks_of([], [100, 400], [101, 401]) == [(1, [100, 101]), (1, [400, 401])]


def test_the_tolerance_is_a_ratio_of_frequencies():
    for low in (50, 500, 5000):
        inside, outside = low * 2**0.09, low * 2**0.11
        assert tracks_of([low], [inside]) == [(0, [low, inside])]
        assert len(tracks_of([low], [outside])) == 2


def test_the_nearer_of_two_peaks_continues_a_track():
    assert tracks_of([100, 106], [105], min_length=2) == [(0, [106, 105])]


def test_short_tracks_are_dropped():
    tracks = tracks_of([100, 900], [100, 500, 900], [100, 900], [100], min_length=2)
    assert tracks == [(0, [100] * 4), (0, [900] * 3)]


def test_tracks_of_several_sounds_are_those_of_each():
    first, second = [[100], [101], [102]], [[103], [104, 300], [105, 301]]
    together = track_peaks(peaks_of(first, second), 0.1, 2)
    assert together.number.tolist() == [0, 0, 0, 0, 0, 1, 0, 1]


def test_it_agrees_with_a_loop_over_frames():
    rng = np.random.default_rng(0)
    frames = [np.sort(20 * 2 ** rng.uniform(0, 10, rng.integers(0, 30))) for _ in range(60)]
    tolerance = 0.2
    expected = []
    runs = {}
    for f, now in enumerate(frames):
        continued = {}
        last = frames[f - 1] if f else np.zeros(0)
        for i, hz in enumerate(now):
            if len(last):
                j = int(np.argmin(np.abs(np.log2(last / hz))))
                mutual = int(np.argmin(np.abs(np.log2(now / last[j])))) == i
                if mutual and abs(np.log2(last[j] / hz)) <= tolerance:
                    continued[i] = [*runs[j], hz]
            continued.setdefault(i, [hz])
        taken = {tuple(run[:-1]) for run in continued.values()}
        expected += [(f - len(r), r) for r in runs.values() if tuple(r) not in taken]
        runs = continued
    expected += [(len(frames) - len(r), r) for r in runs.values()]
    assert sorted(tracks_of(*frames, tolerance=tolerance)) == sorted(
        (start, [float(v) for v in run]) for start, run in expected
    )


def test_no_peaks_give_no_tracks():
    assert tracks_of([], [], []) == []
