"""Alerts by e-mail over SMTP."""

import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from headrace.errors import WrongUse
from headrace.sinks.notify.base import NotTaken, NotWanted, options_of, secret_of, subject_line

_SECS = 15.0


class Mail:
    """One message an alert. `tls` is starttls (the default) or none, which is refused together with a login."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        found = options_of(options, ("host", "from", "to"), ("port", "tls", "user", "passwordEnv"))
        self._host, self._port, self._tls = found["host"], found.get("port", "587"), found.get("tls", "starttls")
        self._from, self._to = found["from"], found["to"]
        if not self._port.isdecimal() or self._tls not in {"starttls", "none"}:
            raise WrongUse("port is a number, tls is starttls or none", hint="docs/guide/alerts.md")
        if ("user" in found) != ("passwordEnv" in found) or ("user" in found and self._tls == "none"):
            raise WrongUse("a login has user and passwordEnv, and needs tls: starttls", hint="docs/guide/alerts.md")
        self._login = (found["user"], secret_of(found["passwordEnv"])) if "user" in found else None

    def deliver(self, alert: Mapping[str, Any]) -> None:
        """Send it; a 5xx answer raises NotWanted, everything else that fails NotTaken."""
        try:
            with smtplib.SMTP(self._host, int(self._port), timeout=_SECS) as server:
                if self._tls == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if self._login:
                    server.login(*self._login)
                server.send_message(self._message(alert))
        except smtplib.SMTPResponseException as error:
            kind = NotWanted if error.smtp_code >= 500 else NotTaken
            raise kind(f"the mail server answers {error.smtp_code}", hint="look at the mail server's log") from None
        except smtplib.SMTPRecipientsRefused as error:
            worst = max(code for code, _ in error.recipients.values())
            kind = NotWanted if worst >= 500 else NotTaken
            raise kind(f"the mail server refuses the recipients: {worst}", hint="check `to`") from None
        except (OSError, smtplib.SMTPException) as error:
            raise NotTaken(f"the mail server does not take it: {type(error).__name__}", hint="is it up?") from None

    def _message(self, alert: Mapping[str, Any]) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = f"headrace {subject_line(alert)}"[:200]
        message["From"], message["To"] = self._from, self._to
        message["Message-ID"] = f"<{alert['alert_id']}@headrace>"
        lines = [alert["message"], f"Next: {alert['hint']}", f"Rows at risk: {alert['rows_at_risk']:,}"]
        message.set_content("\n\n".join([*lines, f"Owner: {alert['owner'] or '-'}"]))
        return message
