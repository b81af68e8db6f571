"""Whatever answers a request reaches the database through `database_of`, which knows buildings."""

from pathlib import Path

from meterhouse import web

# The application itself, the way in, and what has no caller yet.
WITHOUT_A_CALLER = {"access.py", "app.py", "console/session.py", "console/welcome.py"}


def test_nothing_in_the_web_goes_around_the_callers_buildings():
    root = Path(web.__file__).parent
    around = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if "services.database" in path.read_text()
    }
    assert around <= WITHOUT_A_CALLER
