"""The names of `View.facts`: what checks need to know of files and the stream that no row of a window tells.

Whoever asks for a verdict puts in what is known; a check that misses its fact says `not_checked`, never `pass`.
"""

from typing import Final

NOW: Final = "now"
"""float: the moment at which the verdict is asked for, in seconds since 1970."""

WATERMARK: Final = "watermark"
"""float: up to where event time is held to be complete, in seconds since 1970."""

FILE_ROWS: Final = "file_rows"
"""Mapping[str, int]: records of each file in view, as its reader counted them, by file id; those put aside too."""

UNREADABLE_ROWS: Final = "unreadable_rows"
"""Mapping[str, int]: records that the reader or the decoder put aside, by file name or other source; {} for none."""

REGISTERED_FIELDS: Final = "registered_fields"
"""Mapping[str, str]: the fields of the newest registered schema without `_file` and `_row`, with their types' names."""

KNOWN_SCHEMAS: Final = "known_schemas"
"""Collection[int]: registry ids of the schemas that earlier windows had."""

SCHEMA_CHANGES: Final = "schema_changes"
"""Mapping[int, str]: how a schema differs from the one before it, by registry id: `compatible` or `breaking`."""

KNOWN_SOURCES: Final = "known_sources"
"""Mapping[str, int]: start of the last window before this one that had records of a source, by the rule's key."""

KNOWN_CONTENT: Final = "known_content"
"""Mapping[str, str]: contents of files in earlier windows: digest (see `replayed_file`) -> file id."""

SKIPPED_FILES: Final = "skipped_files"
"""Mapping[str, str]: files that were skipped because the same bytes had come in before: name -> first name."""

CONTROL_TOTALS: Final = "control_totals"
"""Mapping[str, float]: what manifests or trailers say of the files in view: `rows`, and sums by field name."""

STAGE_ROWS: Final = "stage_rows"
"""Mapping[str, int]: records of the files or window in view at each stage: `consumed` (read from the raw topic),
`quarantined`, `produced` (written to the valid topic), `inserted` (in the warehouse)."""
