#!/bin/bash
# The second replica joins the database; its tables, and then their rows, come from the first.
# Runs at every start (CLICKHOUSE_ALWAYS_RUN_INITDB_SCRIPTS): a database that is there stays as it is.
set -euo pipefail
clickhouse-client --user "$CLICKHOUSE_USER" --password "$CLICKHOUSE_PASSWORD" --query \
  "CREATE DATABASE IF NOT EXISTS headrace ENGINE = Replicated('/clickhouse/databases/headrace', '{shard}', '{replica}')"
