"""A fleet started from the command line answers, and ends cleanly when it is told to."""

import re
import signal
import socket
import subprocess
import sys

import pytest

from meterhouse.sim.plan import plan_town
from meterhouse.wire.dlt645 import Decoder, Frame, encode

FLEET = "from meterhouse.cli.sim import run_fleet; run_fleet(6, 1, '127.0.0.1', 0, 4, listen=True)"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_fleet_lives_and_ends(ending):
    with subprocess.Popen(
        [sys.executable, "-c", FLEET], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as fleet:
        assert fleet.stdout.readline() == "6 meters behind 1 gateways, seed 4\n"
        port = int(re.search(r"ports (\d+) to", fleet.stdout.readline())[1])
        address = plan_town(4, 6, 1).meters[0].address
        with socket.create_connection(("127.0.0.1", port), 10) as line:
            assert line.recv(14, socket.MSG_WAITALL) == b"MHGW00000001\r\n"
            line.sendall(encode(Frame(address, 0x11, bytes.fromhex("00ff0100"))))
            decoder, found = Decoder(), []
            while not found:
                found = decoder.feed(line.recv(1024))
        assert (found[0].address, found[0].control) == (address, 0x91)
        fleet.send_signal(ending)
        said, complaints = fleet.communicate(timeout=10)
    assert said == "ended after 1 answers\n"
    assert complaints == ""
    assert fleet.returncode == 0
