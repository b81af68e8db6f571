"""The whole contract, tried by schemathesis over TCP against a real small site.

Whatever the document allows is sent, and much that it forbids: no server error, no answer that the
document does not describe. The ordinary run tries a few examples of everything, and every edge of a
sixteenth of the operations; `METERHOUSE_FUZZ_EXAMPLES` makes it as long as one likes, with every
edge of all of them, with sequences of requests, and with more checks.
"""

import asyncio
import contextlib
import os
import shutil
import sys
from pathlib import Path

import pytest
import uvicorn

from addresses import ids_of
from databases import tended
from estate import furnish
from meterhouse.flows import access, role
from meterhouse.flows.access import Verb
from meterhouse.web.api.contract import contract
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse.web.port import open_port
from small_site import NOW, PASSWORD, small_site

EXAMPLES = os.environ.get("METERHOUSE_FUZZ_EXAMPLES", "3")
IS_LONG = "METERHOUSE_FUZZ_EXAMPLES" in os.environ
PHASES = "examples,coverage,fuzzing" + (",stateful" if IS_LONG else "")
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,negative_data_rejection,"
    "missing_required_header,unsupported_method,allow_header_conformance,ignored_auth"
) + (",positive_data_acceptance,use_after_free,ensure_resource_availability" if IS_LONG else "")
# What a change refuses depends on what is there, which no document can say.
LOOKS_ALONE = """[checks.missing_required_header]
expected-statuses = [401, 422, 428]
[[operations]]
include-method = ["POST", "PUT", "DELETE"]
checks.positive_data_acceptance.enabled = false
"""
EDGES_OF_ONE_IN = 16


class Quiet(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield


def knowing(document, ids):
    """The contract with the ids of real rows in its addresses.

    Whatever is sent as valid then finds a row; what the contract forbids stays what it was.
    """
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for one in operation.get("parameters", ()):
                if one["in"] == "path" and one["name"] in ids:
                    noun = "client_grant_id" if "/clients/" in path else one["name"]
                    known = ids.get(noun if one["name"] == "grant_id" else one["name"])
                    one["schema"]["enum"] = [known]
                    one.pop("example", None)
                elif one["name"] == "cursor":
                    # Only the platform knows what else may stand in one.
                    one["schema"]["enum"] = [""]


def settings_of(document):
    """What schemathesis is told beside the command line."""
    names = sorted(
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
    )
    left_out = [name for n, name in enumerate(names) if not IS_LONG and n % EDGES_OF_ONE_IN]
    spared = "".join(
        f'[[operations]]\ninclude-name = "{name}"\nphases.coverage.enabled = false\n'
        for name in left_out
    )
    return LOOKS_ALONE + spared


@contextlib.asynccontextmanager
async def serving(site, ids):
    most = 1_000_000
    settings = WebSettings(
        secure_cookies=False, requests_a_minute=most, changes_a_minute=most,
        stranger_requests_a_minute=most,
    )  # fmt: skip
    app = create_app(Services(site.db, lambda: NOW, settings))
    document = contract(app)
    knowing(document, ids)
    config = uvicorn.Config(app, "127.0.0.1", 0, log_config=None, lifespan="off")
    listening = open_port("127.0.0.1", 0)
    server = Quiet(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1", document
    finally:
        server.should_exit = True
        await task
        listening.close()


@pytest.fixture
async def administered(template):
    async with small_site(template) as site:
        # A ready role gives a program none of the verbs that ask a person for proof.
        chief = await access.add_person(
            site.db, "chief", "Chief", PASSWORD, "platform_administrator", "platform", 0, NOW
        )
        await role.put(site.db, chief, "everything", "Everything", list(Verb), NOW)
        await role.put(site.db, chief, "night_porter", "Porter", [Verb.ROOM_READ], NOW)
        _, key = await access.add_client(site.db, "fuzz", "Fuzz", "everything", "platform", 0, NOW)
        yield site, key


@pytest.mark.slow
async def test_nothing_the_contract_allows_or_forbids_breaks_it(administered, tmp_path):
    site, key = administered
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program is not None
    estate = await furnish(site, await ids_of(site))
    await estate.db.close()
    ids = {**estate.ids, "client_grant_id": estate.client_grant_id}
    async with tended(site.db.address), serving(site, ids) as (url, document):
        (tmp_path / "schemathesis.toml").write_text(settings_of(document))
        run = await asyncio.create_subprocess_exec(
            program, "run", f"{url}/openapi.json", "--url", url.removesuffix("/api/v1"),
            "--header", f"Authorization: Bearer {key}", "--checks", CHECKS,
            "--max-examples", EXAMPLES, "--phases", PHASES,
            "--continue-on-failure", "--seed", "20260304", "--no-color",
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        told, _ = await run.communicate()
    assert run.returncode == 0, told.decode(errors="replace")
