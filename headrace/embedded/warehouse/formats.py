"""Output formats: their content types, and where a canonical statement says which one it wants."""

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.embedded.warehouse.fence import Admitted
from headrace.embedded.warehouse.lexer import Kind, Token, quote_text

DEFAULT_FORMAT = "TabSeparated"
_TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONStrings": "application/json; charset=UTF-8",
    "JSONColumns": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONLines": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "CSVWithNamesAndTypes": "text/csv; charset=UTF-8; header=present",
    "XML": "application/xml; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
    "Avro": "application/octet-stream",
    "ORC": "application/octet-stream",
}


def content_type(output_format: str) -> str:
    """Return the Content-Type of a format.

    >>> content_type("TabSeparatedWithNames"), content_type("Markdown")
    ('text/tab-separated-values; charset=UTF-8', 'text/plain; charset=UTF-8')
    """
    if output_format.startswith(("TabSeparated", "TSV")):
        return "text/tab-separated-values; charset=UTF-8"
    return _TYPES.get(output_format, "text/plain; charset=UTF-8")


@dataclass(frozen=True)
class Output:
    """A statement cut at its FORMAT clause: `before` and `after` are the rest, `named` the format, empty if none."""

    before: str
    named: str
    after: str

    def into(self, path: str, output_format: str) -> str:
        """Return the statement that writes its result, in a format, to a path of ours."""
        return f"{self.before} INTO OUTFILE {quote_text(path)} APPEND FORMAT {output_format}{self.after}"

    def as_format(self, output_format: str) -> str:
        """Return the statement with a format."""
        return f"{self.before} FORMAT {output_format}{self.after}"


def output_of(statement: Admitted) -> Output:
    """Return where a canonical statement names its format.

    The tree is the judge: only when its root has a format can the last FORMAT word be the clause, and not a name.
    """
    text = statement.text
    named = [child.name for child in statement.root.children if child.kind == "Identifier"]
    if named:
        place = _format_place(statement.tokens, named)
        if place is not None:
            word, name = place
            return Output(text[: word.start].rstrip(), name.text, text[name.end :])
    if statement.root.kind.startswith("Select"):
        return Output(text, "", "")
    settings = next(
        (
            token
            for token in statement.tokens
            if token.kind is Kind.WORD and token.text == "SETTINGS" and not token.depth
        ),
        None,
    )
    if settings is None:
        return Output(text, "", "")
    return Output(text[: settings.start].rstrip(), "", " " + text[settings.start :])


def _format_place(found: Sequence[Token], names: Sequence[str]) -> tuple[Token, Token] | None:
    for index in range(len(found) - 2, -1, -1):
        word, name = found[index], found[index + 1]
        last = index + 2 == len(found) or found[index + 2].text == "SETTINGS"
        if word.kind is Kind.WORD and word.text == "FORMAT" and not word.depth and last and name.text in names:
            return word, name
    return None
