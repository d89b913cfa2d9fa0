"""Which traces are kept, as OpenTelemetry's variables say; the trace id decides, so every process decides alike."""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.observability.events import emit
from headrace.observability.trace_events import TelemetrySettingIgnored

SAMPLER, ARGUMENT, DISABLED = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_SDK_DISABLED"
_PARENT = "parentbased_"
_RATIO = "traceidratio"
_FIXED = {"always_on": 1.0, "always_off": 0.0}


@dataclass(frozen=True)
class Sampler:
    """Keeps a share of all traces. With `parent_based` a message's flag decides wherever there is one.

    >>> Sampler(0.5).keeps("0" * 16 + "7" + "f" * 15), Sampler(0.5).keeps("0" * 16 + "8" + "0" * 15)
    (True, False)
    >>> Sampler(0.0).keeps("f" * 32, parent=True)
    True
    """

    share: float = 1.0
    parent_based: bool = True

    def keeps(self, trace: str, parent: bool | None = None) -> bool:
        """Return True if spans of a trace are recorded; `parent` is the flag of the span before, if it is known."""
        if self.parent_based and parent is not None:
            return parent
        return int(trace[16:], 16) < round(self.share * 2**64)

    @property
    def off(self) -> bool:
        """Return True if nothing is ever kept."""
        return self.share == 0.0 and not self.parent_based


def sampler_of(environment: Mapping[str, str]) -> Sampler:
    """Return the sampler that the environment asks for; what cannot be understood is told of and left out."""
    if environment.get(DISABLED, "").strip().lower() == "true":
        return Sampler(0.0, parent_based=False)
    name = environment.get(SAMPLER, "").strip().lower() or "parentbased_always_on"
    kind = name.removeprefix(_PARENT)
    if kind in _FIXED:
        return Sampler(_FIXED[kind], parent_based=name != kind)
    if kind == _RATIO:
        return Sampler(_share(environment.get(ARGUMENT, "").strip()), parent_based=name != kind)
    emit(TelemetrySettingIgnored(setting=SAMPLER, value=name, used="parentbased_always_on"))
    return Sampler()


def _share(text: str) -> float:
    try:
        share = float(text or "1")
    except ValueError:
        share = -1.0
    if 0.0 <= share <= 1.0:
        return share
    emit(TelemetrySettingIgnored(setting=ARGUMENT, value=text, used="1.0"))
    return 1.0
