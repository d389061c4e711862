import numpy as np

from drumblender.analysis.peaks import Peaks
from drumblender.analysis.tracking import track_peaks


def peaks_of(*frames):
    """Peaks from lists of frequencies, one list per frame; phases tell which peak is which."""
    frame = np.repeat(np.arange(len(frames)), [len(f) for f in frames])
    hz = np.array([value for f in frames for value in f], float)
    return Peaks(frame, hz, np.ones(len(hz)), hz / 1000)


def tracks_of(*frames, tolerance=0.1, min_length=1):
    peaks = peaks_of(*frames)
    tracks = track_peaks(peaks, tolerance, min_length)
    return [
        (int(peaks.frame[tracks[i]][0]), peaks.frequency[tracks[i]].tolist())
        for i in range(len(tracks.start))
    ]


def test_a_frame_without_peaks_ends_tracks_and_shifts_nothing():
    assert tracks_of([100], [101], [], [102], [103]) == [(3, [102, 103]), (0, [100, 101])]


def test_each_phase_stays_with_its_peak():
    peaks = peaks_of([100, 400], [101, 300, 405], [410])
    tracks = track_peaks(peaks, 0.1, 3)
    assert peaks.phase[tracks[0]].tolist() == [0.4, 0.405, 0.41]


def test_tracks_that_begin_in_the_same_frame_stay_apart():
    assert tracks_of([], [100, 400], [101, 401]) == [(1, [100, 101]), (1, [400, 401])]


def test_the_tolerance_is_a_ratio_of_frequencies():
    for low in (50, 500, 5000):
        inside, outside = low * 2**0.09, low * 2**0.11
        assert tracks_of([low], [inside]) == [(0, [low, inside])]
        assert len(tracks_of([low], [outside])) == 2


def test_the_nearer_of_two_peaks_continues_a_track():
    assert tracks_of([100, 106], [105], min_length=2) == [(0, [106, 105])]


def test_tracks_that_live_longest_come_first_and_short_ones_are_dropped():
    tracks = tracks_of([100, 900], [100, 500, 900], [100, 900], [100], min_length=2)
    assert tracks == [(0, [100] * 4), (0, [900] * 3)]


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
