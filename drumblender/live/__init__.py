"""Kits that are played while they are taken apart no more: by MIDI, by pads, and into files.

Drums are taken apart before the first note. From then on, each note is a stream
(:mod:`drumblender.sound.streaming`) of its own, whose controls move while it sounds.
"""
