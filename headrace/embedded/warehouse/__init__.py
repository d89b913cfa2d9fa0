"""ClickHouse's HTTP interface over chDB, fenced."""
