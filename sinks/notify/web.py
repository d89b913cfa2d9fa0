"""Webhooks: an alert as JSON, signed if asked; and in the form that Slack and its like take."""

import hashlib
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from headrace.errors import WrongUse
from headrace.sinks.notify.base import NotTaken, NotWanted, options_of, secret_of, subject_line

SIGNATURE = "X-Headrace-Signature"
_SECS = 15.0
_BUSY = frozenset({408, 425, 429})


class Webhook:
    """POSTs the alert as JSON; with `secretEnv`, signed by HMAC-SHA-256 over the body: `sha256=HEX`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        found = options_of(options, (), ("url", "urlEnv", "secretEnv"))
        self._url = _address(found)
        self._secret = secret_of(found["secretEnv"]).encode() if "secretEnv" in found else b""

    def body(self, alert: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is sent."""
        return dict(alert)

    def deliver(self, alert: Mapping[str, Any]) -> None:
        """Send it; what a repeat may mend raises NotTaken, another refusal NotWanted."""
        content = json.dumps(self.body(alert), default=str, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": alert["alert_id"]}
        if self._secret:
            headers[SIGNATURE] = f"sha256={hmac.new(self._secret, content, hashlib.sha256).hexdigest()}"
        request = urllib.request.Request(self._url, content, headers, method="POST")  # noqa: S310  checked when made
        try:
            urllib.request.urlopen(request, timeout=_SECS).close()  # noqa: S310
        except urllib.error.HTTPError as error:
            with error:
                kind = NotTaken if error.code in _BUSY or error.code >= 500 else NotWanted
                raise kind(f"the receiver answers {error.code}", hint="look at the receiver's log") from None
        except (OSError, ValueError) as error:
            # The address may hold a secret, so the library's own words are not told.
            raise NotTaken(f"the receiver does not answer: {type(error).__name__}", hint="is it up?") from None


class Slack(Webhook):
    """The same in the form of Slack's incoming webhooks."""

    def body(self, alert: Mapping[str, Any]) -> dict[str, Any]:
        """Return text and blocks; what Slack would take for markup is escaped."""
        line, hint = (_plain(text) for text in (subject_line(alert), alert["hint"]))
        owner = _plain(alert["owner"]) or "-"
        facts = f"{_plain(alert['dataset'])}: {alert['rows_at_risk']:,} rows at risk, owner {owner}"
        texts = [f"*{line}*", f"Next: {hint}" if hint else "", facts]
        sections = [{"type": "section", "text": {"type": "mrkdwn", "text": text[:2900]}} for text in texts if text]
        return {"text": line[:2900], "blocks": sections}


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _address(found: Mapping[str, str]) -> str:
    if ("url" in found) == ("urlEnv" in found):
        raise WrongUse("a webhook has one address", hint="give url, or urlEnv with the variable that holds it")
    url = found.get("url") or secret_of(found["urlEnv"])
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise WrongUse("the webhook's address is no http URL", hint="write https://HOST/PATH")
    return url
