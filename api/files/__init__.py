"""Links that are their own proof, below `/files`: bytes that clients bring, and results that they fetch, without a key.

routes.py (what each link does) · bodies.py (XML and ranges of strangers, made into the core's words) · faults.py (codes to statuses)
"""
