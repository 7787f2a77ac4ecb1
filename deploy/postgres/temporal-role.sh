#!/bin/sh
# Run once by the postgres image on an empty volume: Temporal gets a role of its own, which cannot read our records.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$TEMPORAL_DB_PASSWORD" -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'SQL'
CREATE ROLE temporal LOGIN CREATEDB PASSWORD :'password';
REVOKE ALL ON DATABASE tiro FROM PUBLIC;
SQL
