"""Whisper inside a model host: windows of up to 30 s, packed into passes, encoded once, decoded, their words timed by alignment.

model      answers batches: which windows share a pass, which are heard again alone
decoding   one group of passes: encode, find the language, generate, again and hotter where it is unsound, align
quality    which answers count: loops, guesses, silence, words where there is no sound
passes     where windows lie in a pass, and whose a word is
mel        features, as faster-whisper makes them
"""

from tiro.adapters.engines.hosts.whisper.model import load

__all__ = ["load"]
