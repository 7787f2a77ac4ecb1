"""The core of Tiro: what a job is, what may happen to it, and the windows through which it touches the world.

model/     nouns: frozen structs and pure functions
ports/     what the core needs from the world, as Protocols
render/    transcript -> files and documents; job -> event bodies
sign/      (secret or key, body, time) -> headers; links that are their own proof
services/  verbs: intake, jobs, line, billing, batches, hooks, accounts, ...
adapters/  the world: database, storage, media, egress, engines, diarizers, temporal
settings.py, wiring.py   one frozen struct read once; the only file that names concrete classes
"""
