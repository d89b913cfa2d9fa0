"""Whether the windows of a dataset are judged when nothing comes."""

from headrace.core.vocabulary import Severity
from headrace.errors import HeadraceError
from headrace.schemas.contract_store import contract_path, read_contract
from headrace.settings import Paths
from headrace.stream_processors.steps.window_known import sees_silence


def has_silence_check(paths: Paths, dataset: str) -> bool:
    """Return True if a check of the dataset's contract warns of windows without records; False if none can be read.

    What only informs is no warning: a draft guesses such a check from its first file.
    """
    try:
        checks = read_contract(contract_path(paths, dataset)).checks
    except (HeadraceError, OSError):
        return False
    return any(sees_silence(rule) for rule in checks if rule.severity != Severity.INFO)
