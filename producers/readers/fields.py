"""One delimited record as text, field by field: for headers, for guessing, and for what columns cannot do."""


def split_record(text: str, delimiter: str) -> list[str | None]:
    r"""Return the fields of one record of sound quoting; an empty field without quotes is None.

    >>> split_record('1,"a ""b"", c",,5" wide,""', ",")
    ['1', 'a "b", c', None, '5" wide', '']
    """
    fields: list[str | None] = []
    place = 0
    while True:
        if text.startswith('"', place):
            value, place = _quoted(text, place + 1)
            fields.append(value)
        else:
            end = text.find(delimiter, place)
            end = len(text) if end < 0 else end
            fields.append(text[place:end] or None)
            place = end
        if place >= len(text):
            return fields
        place += 1


def _quoted(text: str, place: int) -> tuple[str, int]:
    """Return a quoted field's value and the place after its closing quote."""
    parts: list[str] = []
    while True:
        end = text.find('"', place)
        if end < 0:
            return "".join((*parts, text[place:])), len(text)
        parts.append(text[place:end])
        if not text.startswith('"', end + 1):
            return "".join(parts), end + 1
        parts.append('"')
        place = end + 2


def quote_record(text: str, delimiter: str) -> str:
    """Return the record with every field quoted that is not empty: the same record without ordinary quotes.

    >>> quote_record('5" wide,,"x"', ",")
    '"5"" wide",,"x"'
    """
    fields = split_record(text, delimiter)
    return delimiter.join("" if value is None else '"' + value.replace('"', '""') + '"' for value in fields)
