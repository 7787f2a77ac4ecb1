"""The `jobs` dialect: `/auth/token`, `/auth/refresh` and `/jobs`. Described to its users in docs/dialects/jobs.md."""
