"""The steps from one schema to the next, oldest first in versions/. env.py is Alembic's entrance; `migrate` opens the connection.

A new step: change tables.py, add `versions/v<number>_<what>.py` by hand, and let the contract tests compare the two.
"""
