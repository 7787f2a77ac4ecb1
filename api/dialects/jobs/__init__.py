"""The `jobs` dialect: `/auth/token`, `/auth/refresh` and `/jobs`. Described to its users in docs/dialects/jobs.md.

routes (the face) · wire, translate (what is said) · faults (codes to statuses) · openapi (all of it as a document)
"""
