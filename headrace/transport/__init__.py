"""The wire clients: Kafka and ClickHouse. Only here are their libraries imported."""
