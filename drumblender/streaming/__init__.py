"""Sounds block by block, as an audio callback asks for them, with controls that move meanwhile.

Each synthesizer has a form that plays in blocks (:class:`~drumblender.streaming.base.Blocks`). It
is made once for a sound and never changes. What moves on from block to block is a small value
beside it, so that many notes share one form.
"""

from drumblender.streaming.base import PIECE, Blocks, Moving, Ramp

__all__ = ["PIECE", "Blocks", "Moving", "Ramp"]
