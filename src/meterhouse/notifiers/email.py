"""E-mail over SMTP, one message a notice."""

import asyncio
import smtplib
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from meterhouse.errors import MeterhouseError, SettingInvalid
from meterhouse.ports import Notice

TIMEOUT_S = 20


class MailRefused(MeterhouseError):
    """The mail server did not take the message: {why}."""

    code = "mail_refused"
    http_status = 502


class EmailNotifier:
    """Sends through one SMTP server.

    Args:
        smtp_url: `smtp://host:port` (STARTTLS where offered) or `smtps://user:password@host:port`.
        sender: the address in From.
    """

    channel = "email"

    def __init__(self, smtp_url: str, sender: str) -> None:
        self._parts = urlsplit(smtp_url)
        if self._parts.scheme not in ("smtp", "smtps") or not self._parts.hostname:
            raise SettingInvalid("smtp_url", smtp_url, "give smtp://host:port or smtps://…")
        self._sender = sender

    async def send(self, notice: Notice) -> None:
        """Deliver to the server. Raises `MailRefused`."""
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = notice.recipient
        message["Subject"] = notice.subject
        message.set_content(notice.text)
        try:
            await asyncio.to_thread(self._deliver, message)
        except (OSError, smtplib.SMTPException) as error:
            raise MailRefused(why=str(error)) from error

    def _deliver(self, message: EmailMessage) -> None:
        host, port = self._parts.hostname or "", self._parts.port or 0
        make = smtplib.SMTP_SSL if self._parts.scheme == "smtps" else smtplib.SMTP
        with make(host, port, timeout=TIMEOUT_S) as server:
            if self._parts.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls()
            if self._parts.username:
                server.login(unquote(self._parts.username), unquote(self._parts.password or ""))
            server.send_message(message)
