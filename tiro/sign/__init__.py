"""What is signed: webhook bodies, by pure functions found by the name that a delivery carries, and links that are their own proof.

schemes.py (the table SCHEMES: with the account's secret) · ed25519.py (the table KEY_SCHEMES: with a key of the server's own)
A new scheme is a function and a line in one of them. passes.py (links)
"""

from tiro.sign.ed25519 import KEY_SCHEMES as KEY_SCHEMES
from tiro.sign.ed25519 import KeyScheme as KeyScheme
from tiro.sign.passes import Pass as Pass
from tiro.sign.passes import Passes as Passes
from tiro.sign.schemes import SCHEMES as SCHEMES
from tiro.sign.schemes import Scheme as Scheme
