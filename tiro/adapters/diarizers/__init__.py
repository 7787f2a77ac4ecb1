"""Diarizers: who spoke when. `registry` knows them by id and says which can run here; the rest is one file per diarizer.

registry    id -> how it is made; the diarizer of a server
channels    each track is one speaker: exact
pyannote    pyannote.audio's pipelines, in a child process (child, pipeline), with torch; one pass of its network per window (trunk)
acoustic    our own, light: features (cepstra, pitch), voices (clusters), smoothed
scripted    voices take turns by the clock, for tests and rehearsals
turns       stretches of voices -> exclusive, ordered, numbered turns
"""
