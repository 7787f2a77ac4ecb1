"""What is signed: webhook bodies, by pure functions of (secret, body, time, previous secret), and links that are their own proof.

schemes.py (the table SCHEMES and its functions; a new scheme is a function and a line there) · passes.py (links)
"""

from tiro.sign.passes import Pass as Pass
from tiro.sign.passes import Passes as Passes
from tiro.sign.schemes import SCHEMES as SCHEMES
from tiro.sign.schemes import Scheme as Scheme
