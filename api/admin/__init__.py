"""The command line's corner: `/_admin`, for loopback peers with the admin token. Everything that the other floors can do, for all accounts.

wire.py (what is said; the command line reads it with the same structs) · translate.py (core to wire) · routes.py, signing.py, audits.py
"""
