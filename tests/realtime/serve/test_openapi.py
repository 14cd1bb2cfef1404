import asyncio
import json
import sys
from importlib.util import find_spec

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("soxr")

from scripted_worker import ScriptedWorker
from serving import logged, run, served

from voicestack.realtime.serve.guard import Policy

TOKEN = "a-token-of-many-letters"


async def schemathesis(url: str, *options: str) -> tuple[int, str]:
    """Exit code and report of its command line."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--no-color", "--seed", "1"),
        *("--header", f"Authorization: Bearer {TOKEN}", "--generation-database", "none", "--max-examples", "30"),
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await child.communicate()
    return child.returncode or 0, told.decode()


@pytest.mark.clients
@pytest.mark.slow
@pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is not installed")
@pytest.mark.parametrize(
    "options",
    [
        ("--exclude-path", "/offer"),
        # No schema can tell which session descriptions make a call.
        ("--include-path", "/offer", "--exclude-checks", "positive_data_acceptance"),
    ],
)
def test_the_server_does_what_its_description_says(options: tuple[str, ...]) -> None:
    """Schemathesis finds no status, header, type or schema that is not described, and no 500."""

    @run
    async def body() -> None:
        with logged() as lines:
            async with served(ScriptedWorker(), policy=Policy(TOKEN), lead_s=(50.0, 60.0)) as server:
                code, told = await schemathesis(server.url, *options)
        assert code == 0, told
        assert not [line for line in lines.lines if "level=error" in line]

    body()


@run
async def test_the_description_names_the_voice() -> None:
    """And OpenAI's names for it."""
    async with served() as server, server.client.get(server.url + "/openapi.json") as answer:
        names = json.loads(await answer.read())["components"]["schemas"]["VoiceName"]["enum"]
        assert names[0] == "joe"
        assert "alloy" in names
