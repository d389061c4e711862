"""Joins peaks of neighboring frames into tracks.

Partial tracking after McAulay and Quatieri [1], with a rule that needs no state: two peaks of
neighboring frames belong together when each is the other's nearest and they are near enough.

[1] McAulay and Quatieri, "Speech analysis/synthesis based on a sinusoidal representation",
    IEEE TASSP 34(4), 1986.
"""

import math
from typing import NamedTuple, Tuple

import torch
from torch import Tensor

from drumblender.analysis.peaks import Peaks


class Tracks(NamedTuple):
    """Tracks, each of which is a run of peaks in consecutive frames.

    Attributes:
        number: number of the track that each peak belongs to, among those of its sound in the order
            in which they begin; -1 where it belongs to none (P,).
        most: largest number of tracks of a sound.
    """

    number: Tensor
    most: int


def track_peaks(peaks: Peaks, tolerance: float, min_length: int) -> Tracks:
    """Join peaks into tracks.

    No peak belongs to two tracks, so tracks that begin or end in the same frame stay apart; a frame
    without peaks ends all tracks and shifts nothing.

    Args:
        peaks: the peaks of all sounds.
        tolerance: largest difference between frequencies of neighboring frames, in octaves.
        min_length: number of frames; shorter tracks are dropped.

    >>> frame = torch.tensor([0, 0, 1, 1, 2])
    >>> hz = torch.tensor([100.0, 800.0, 101.0, 400.0, 102.0])
    >>> track_peaks(Peaks(0 * frame, frame, hz, hz, hz, 1, 3), tolerance=0.1, min_length=2)
    Tracks(number=tensor([ 0, -1,  0, -1,  0]), most=1)
    """
    if not len(peaks.frame):
        return Tracks(peaks.sound, 0)
    pitch = peaks.frequency.log2()
    # A frame of nothing between sounds keeps their tracks apart.
    moment = peaks.sound * (peaks.num_frames + 1) + peaks.frame
    # In one sorted list of all peaks, moments are further apart than pitches ever are.
    apart = 4 * (pitch.abs().max() + 1)
    place = moment * apart + pitch
    after = _nearest(place, moment, apart, 1)
    before = _nearest(place, moment, apart, -1)
    index = torch.arange(len(pitch), device=pitch.device)
    mutual = (before >= 0) & (after[before] == index)
    mutual &= (pitch - pitch[before]).abs() <= tolerance
    # The first peak of each peak's track: every round doubles the distance looked back.
    origin = torch.where(mutual, before, index)
    for _ in range((peaks.num_frames - 1).bit_length()):
        origin = origin[origin]
    length = torch.zeros_like(origin).index_add_(0, origin, torch.ones_like(origin))[origin]
    begins = ((length >= min_length) & (origin == index)).long()
    counts = begins.new_zeros(peaks.num_sounds).index_add_(0, peaks.sound, begins)
    rank = (begins.cumsum(0) - 1)[origin] - (counts.cumsum(0) - counts)[peaks.sound]
    return Tracks(torch.where(length >= min_length, rank, -1), int(counts.max()))


def _nearest(place: Tensor, moment: Tensor, apart: Tensor, step: int) -> Tensor:
    """Return, for each peak, the peak nearest in pitch among those of the frame ``step`` later.

    The index is -1 where that frame has no peak.

    Args:
        place: places of the peaks in one sorted list, by moment and pitch.
        moment: number of the frame of each peak, counted through all sounds.
        apart: distance of moments in the list.
        step: 1 or -1.
    """
    wanted = place + step * apart
    right = torch.searchsorted(place, wanted).clamp(max=len(place) - 1)
    left = (right - 1).clamp(min=0)
    is_left = wanted - place[left] <= place[right] - wanted
    nearest, other = torch.where(is_left, left, right), torch.where(is_left, right, left)
    nearest = torch.where(moment[nearest] == moment + step, nearest, other)
    return torch.where(moment[nearest] == moment + step, nearest, -1)


class Grid(NamedTuple):
    """The peaks of chosen tracks on a grid of tracks and frames.

    Attributes:
        place: place of each peak on the flat grid; behind its end, if its track is not chosen (P,).
        shape: numbers of sounds, of chosen tracks and of frames.
    """

    place: Tensor
    shape: Tuple[int, int, int]

    def of(self, values: Tensor) -> Tensor:
        """Put values of the peaks (P,) on the grid (B, K, F). They are 0 where there is no peak."""
        grid = values.new_zeros(math.prod(self.shape) + 1)
        return grid.index_copy_(0, self.place, values)[:-1].view(self.shape)


def on_grid(peaks: Peaks, tracks: Tracks, chosen: Tensor) -> Grid:
    """Make the grid of chosen tracks.

    Args:
        peaks: the peaks of all sounds.
        tracks: their tracks.
        chosen: numbers of the tracks that are chosen in each sound. Others than those of tracks
            choose nothing (B, K).
    """
    shape = (*chosen.shape, peaks.num_frames)
    # Which row each track of a sound gets.
    row = chosen.new_full((len(chosen), tracks.most + 1), -1)
    is_track = (chosen >= 0) & (chosen < tracks.most)
    rows = torch.arange(chosen.shape[1], device=chosen.device).expand_as(chosen)
    row.scatter_(1, torch.where(is_track, chosen, tracks.most), rows)
    row[:, -1] = -1
    own = row[peaks.sound, tracks.number]
    place = (peaks.sound * shape[1] + own) * shape[2] + peaks.frame
    return Grid(torch.where(own >= 0, place, math.prod(shape)), shape)
