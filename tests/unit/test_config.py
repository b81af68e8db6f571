"""Where a setting comes from, what it may be, and that a secret is never shown."""

import base64
import stat

import pytest

from meterhouse.config import (
    KEY_BYTES,
    SecretKeyMissing,
    Settings,
    load,
    mask,
    masked,
    secret_key_of,
)
from meterhouse.errors import SettingInvalid

SECRET = "s3cret"
URL = f"postgresql://house:{SECRET}@db.example/house?sslkey={SECRET}"
KEY = base64.b64encode(bytes(range(KEY_BYTES))).decode()


@pytest.fixture
def said(tmp_path):
    """Settings of a file, an environment and a command line."""

    def settle(toml="", environment=None, **chosen):
        (tmp_path / "meterhouse.toml").write_text(toml)
        return load({"data": tmp_path, **chosen}, environment or {})

    return settle


def test_the_command_line_has_the_last_word_then_the_environment_then_the_file(said):
    toml = "port = 1\nheadend_port = 1\nmetrics_port = 1"
    environment = {"METERHOUSE_HEADEND_PORT": "2", "METERHOUSE_METRICS_PORT": "2"}
    settings = said(toml, environment, metrics_port=3)
    assert (settings.port, settings.headend_port, settings.metrics_port) == (1, 2, 3)


def test_a_secret_may_stand_in_a_file(said, tmp_path):
    file = tmp_path / "url"
    file.write_text(f"{URL}\n")
    assert said(f'database_url_file = "{file}"').database_url == URL
    assert said(environment={"METERHOUSE_DATABASE_URL_FILE": str(file)}).database_url == URL


def test_the_place_with_more_say_wins_whole(said, tmp_path):
    file = tmp_path / "url"
    file.write_text(URL)
    environment = {"METERHOUSE_DATABASE_URL_FILE": str(file)}
    assert said(environment=environment, database_url="embedded").database_url == "embedded"
    settings = said('database_url = "postgresql://other/house"', environment)
    assert settings.database_url == URL


def test_systemd_hands_over_what_nobody_else_said(said, tmp_path):
    (tmp_path / "smtp_url").write_text("smtps://mail.example:465\n")
    (tmp_path / "secret_key").write_text(KEY)
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    settings = said(environment=environment)
    assert settings.smtp_url == "smtps://mail.example:465"
    assert secret_key_of(settings) == bytes(range(KEY_BYTES))
    other = said('smtp_url = "smtp://other.example:25"', environment)
    assert other.smtp_url == "smtp://other.example:25"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("port", "65536"), ("metrics_port", "-1"), ("stop_timeout_s", "0"),
        ("changes_a_minute", "0"),
        ("secure_cookies", "perhaps"), ("transport", "pigeon"), ("log_format", "xml"),
        ("log_level", "loud"), ("public_url", "https://house.example/console"),
        ("public_url", "https://house.example;script-src *"), ("public_url", "house.example"),
        ("public_url", "https://user@house.example"),
    ],
)  # fmt: skip
def test_what_cannot_work_stops_the_program_and_says_what_would(said, name, given):
    with pytest.raises(SettingInvalid, match=f"Setting {name} is .* give"):
        said(environment={f"METERHOUSE_{name.upper()}": given})


def test_a_public_url_ends_without_a_slash(said):
    assert said(public_url="https://house.example:8443/").public_url == "https://house.example:8443"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("database_url", f"mysql://{SECRET}"), ("smtp_url", f"http://{SECRET}"),
        ("smtp_url", f"smtp://mail:{SECRET}"), ("secret_key", SECRET),
        ("secret_key", base64.b64encode(SECRET.encode()).decode()),
    ],
)  # fmt: skip
def test_a_secret_that_cannot_work_is_not_quoted(said, name, given):
    with pytest.raises(SettingInvalid) as raised:
        said(environment={f"METERHOUSE_{name.upper()}": given})
    assert SECRET not in str(raised.value)
    assert given not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"x" * 9_000])
def test_a_file_of_a_secret_that_cannot_be_used_is_named_and_not_quoted(said, tmp_path, content):
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(SettingInvalid, match=r"secret_key_file is .*key"):
        said(secret_key_file=str(file))
    with pytest.raises(SettingInvalid, match="No such file"):
        said(smtp_url_file=str(tmp_path / "nowhere"))


def test_one_place_does_not_say_a_secret_twice(said):
    with pytest.raises(SettingInvalid, match="not both"):
        said('smtp_url = "smtp://a.example:25"\nsmtp_url_file = "b"')


def test_an_unknown_name_in_the_file_is_told_with_those_there_are(said):
    with pytest.raises(SettingInvalid, match="metrics_port") as raised:
        said(f'database_ur1 = "{URL}"')
    assert SECRET not in str(raised.value)


def test_secrets_are_masked_and_what_helps_is_left():
    settings = Settings(database_url=URL, smtp_url=f"smtps://{SECRET}@mail.example", secret_key=KEY)
    shown = masked(settings)
    assert shown["database_url"] == "postgresql://***@db.example/house?***"
    assert shown["smtp_url"] == "smtps://***@mail.example"
    assert shown["secret_key"] == "***"
    assert mask("database_url", "embedded") == "embedded"
    assert KEY not in repr(settings)
    assert SECRET not in repr(settings)


def test_the_embedded_house_makes_its_key_once_for_its_owner_alone(tmp_path):
    settings = Settings(data=tmp_path)
    key = secret_key_of(settings)
    assert len(key) == KEY_BYTES
    assert secret_key_of(settings) == key
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_house_on_a_server_by_url_must_be_given_its_key(tmp_path):
    with pytest.raises(SecretKeyMissing, match="base64"):
        secret_key_of(Settings(data=tmp_path, database_url=URL))
    given = Settings(data=tmp_path, database_url=URL, secret_key=KEY)
    assert secret_key_of(given) == bytes(range(KEY_BYTES))
    assert list(tmp_path.iterdir()) == []
