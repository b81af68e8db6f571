"""Letters hold links that let people in: they go encrypted to whom they are for, or not at all."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meterhouse.notifiers import email
from meterhouse.notifiers.email import EmailNotifier, MailRefused, MailUnprotected
from meterhouse.ports import Notice

HOST = "127.0.0.1"
LETTER = Notice(1, 1, "email", "li@example.org", "Link", "https://house/token")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of this machine, for a day, in one file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("mail") / "mail.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )  # fmt: skip
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@pytest.fixture
def remote(monkeypatch):
    """As if the server stood on another machine."""
    monkeypatch.setattr(email, "HERE", frozenset())


class MailServer:
    """What it was told in the clear and what behind TLS, line by line."""

    def __init__(self, certificate, offers_tls):
        self.clear, self.sealed, self.offers_tls = [], [], offers_tls
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.tls.load_cert_chain(certificate)

    async def answer(self, reader, writer):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.talk(reader, writer)
        writer.close()

    async def talk(self, reader, writer):
        told, is_letter = self.clear, False
        writer.write(b"220 mail\r\n")
        while raw := await reader.readline():
            line = raw.decode().rstrip()
            told.append(line)
            if is_letter and line != ".":
                continue
            word = line.split()[0].upper()
            is_letter = word == "DATA"
            if word == "EHLO":
                more = b"250-STARTTLS\r\n" if self.offers_tls and told is self.clear else b""
                writer.write(b"250-mail\r\n" + more + b"250 AUTH PLAIN\r\n")
            elif word == "STARTTLS":
                writer.write(b"220 go on\r\n")
                await writer.start_tls(self.tls)
                told = self.sealed
            else:
                replies = {
                    "AUTH": b"235 welcome\r\n", "DATA": b"354 go on\r\n", "QUIT": b"221 bye\r\n",
                }  # fmt: skip
                writer.write(replies.get(word, b"250 ok\r\n"))


@contextlib.asynccontextmanager
async def mail_server(certificate, offers_tls=True):
    server = MailServer(certificate, offers_tls)
    async with await asyncio.start_server(server.answer, HOST, 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield server, EmailNotifier(f"smtp://me:secret@{HOST}:{port}", "us@example.org")


async def test_a_letter_and_the_password_go_behind_tls(certificate, remote, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with mail_server(certificate) as (server, notifier):
        await notifier.send(LETTER)
    assert [line.split()[0].upper() for line in server.clear] == ["EHLO", "STARTTLS"]
    assert any("token" in line for line in server.sealed)
    assert any(line.startswith("AUTH") for line in server.sealed)


async def test_a_server_that_cannot_be_trusted_gets_nothing(certificate, remote):
    async with mail_server(certificate) as (server, notifier):
        with pytest.raises(MailRefused, match="certificate"):
            await notifier.send(LETTER)
    assert server.sealed == []
    assert not any("token" in line or "AUTH" in line for line in server.clear)


async def test_a_server_elsewhere_without_tls_gets_nothing(certificate, remote):
    async with mail_server(certificate, offers_tls=False) as (server, notifier):
        with pytest.raises(MailUnprotected):
            await notifier.send(LETTER)
    assert [line.split()[0].upper() for line in server.clear] == ["EHLO"]


async def test_a_server_on_this_machine_may_be_plain(certificate):
    async with mail_server(certificate, offers_tls=False) as (server, notifier):
        await notifier.send(LETTER)
    assert any("token" in line for line in server.clear)
