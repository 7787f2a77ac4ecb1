"""How webhook bodies are signed: pure functions of (secret, body, time, previous secret), found by name.

schemes.py (the table SCHEMES and its functions). A new scheme is a function and a line there.
"""

from tiro.sign.schemes import SCHEMES as SCHEMES
from tiro.sign.schemes import Scheme as Scheme
