"""The services on one machine without installing them: Kafka, the schema registry, the warehouse."""
