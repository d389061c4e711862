"""Drums as instruments that hosts play: TorchScript that streams hits block by block.

A :class:`~drumblender.sound.Sound` becomes a :class:`~drumblender.export.instrument.drum.Drum`,
which plays its sinusoids, its noise and its transient network again for each hit, so that pitch,
decay and levels follow controls. Its methods keep to what TorchScript compiles: a host loads the
result without Python.
"""
