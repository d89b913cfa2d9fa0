"""A streaming data platform: files dropped in a folder are judged, profiled and in ClickHouse, exactly once."""

__version__ = "0.1.0"
