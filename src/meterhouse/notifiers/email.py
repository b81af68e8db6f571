"""E-mail over SMTP, one message a notice.

Letters carry links that let somebody in, so they travel encrypted to a server whose certificate was
checked, or stay on this machine; a server that stops offering encryption gets nothing.
"""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from meterhouse.errors import MeterhouseError, SettingInvalid
from meterhouse.ports import Notice

TIMEOUT_S = 20
HERE = frozenset({"localhost", "127.0.0.1", "::1"})
"""What is sent to these never leaves the machine."""


class MailRefused(MeterhouseError):
    """The mail server did not take the message: {why}."""

    code = "mail_refused"
    http_status = 502


class MailUnprotected(MailRefused):
    """The mail server offers no encryption; nothing was sent to it."""

    code = "mail_unprotected"


class EmailNotifier:
    """Sends through one SMTP server.

    Args:
        smtp_url: `smtp://user:password@host:port`, encrypted by STARTTLS, which only a server on
            this machine may lack; or `smtps://user:password@host:port`, encrypted from the start.
        sender: the address in From.
    """

    channel = "email"

    def __init__(self, smtp_url: str, sender: str) -> None:
        self._parts = urlsplit(smtp_url)
        if self._parts.scheme not in ("smtp", "smtps") or not self._parts.hostname:
            raise SettingInvalid("smtp_url", smtp_url, "give smtp://host:port or smtps://…")
        self._sender = sender

    async def send(self, notice: Notice) -> None:
        """Deliver to the server. Raises `MailRefused`, `MailUnprotected`."""
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
        with self._connected() as server:
            if self._parts.username:
                server.login(unquote(self._parts.username), unquote(self._parts.password or ""))
            server.send_message(message)

    def _connected(self) -> smtplib.SMTP:
        host, port = self._parts.hostname or "", self._parts.port or 0
        # smtplib's own context would take any certificate.
        trusted = ssl.create_default_context()
        if self._parts.scheme == "smtps":
            return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=trusted)
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        try:
            server.ehlo_or_helo_if_needed()
            if server.has_extn("starttls"):
                server.starttls(context=trusted)
            elif host not in HERE:
                raise MailUnprotected
        except BaseException:
            server.close()
            raise
        return server
