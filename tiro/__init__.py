"""The core of Tiro: what a job is, what may happen to it, and the windows through which it touches the world.

model/     nouns: frozen structs and pure functions
ports.py   what the core needs from the world, as Protocols
render/    transcript -> files; job -> event bodies
sign/      (secret, body, time) -> headers
services/  verbs: intake, jobs, line, billing, hooks, accounts
adapters/  the world: database, storage, media, egress, engines, diarizers, temporal
settings.py, wiring.py   one frozen struct read once; the only file that names concrete classes
"""
