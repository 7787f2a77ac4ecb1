#!/bin/sh
# Make or update Temporal's two databases. SQL_HOST, SQL_USER ... come from the environment.
set -eu

schema() { # schema DATABASE FOLDER
    temporal-sql-tool --db "$1" create || true
    temporal-sql-tool --db "$1" setup-schema -v 0.0
    temporal-sql-tool --db "$1" update-schema -d "/etc/temporal/schema/postgresql/v12/$2/versioned"
}

# `create` fails where it was done before; the next line fails unless it holds
schema temporal temporal
schema temporal_visibility visibility
