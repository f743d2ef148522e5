"""Drives an agent through serfclient (PyPI), whose own suite is not in its package: its calls, one test each.

usage: serfclient_test.py PROGRAM        PROGRAM is `serf`, or what takes its place
"""

import subprocess
import sys
import time
import unittest

from serfclient.client import SerfClient
from serfclient.connection import SerfConnection, SerfConnectionError

HOST = "127.83.67.1"
BIND, RPC = HOST + ":7946", HOST + ":7373"
NOBODY = HOST + ":1"


class Agent(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        arguments = [PROGRAM, "agent", "-node=python", "-bind=" + BIND, "-rpc-addr=" + RPC, "-tag=foo=bar"]
        cls.agent = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        cls.addClassCleanup(cls.end)
        deadline = time.monotonic() + 20
        while True:
            try:
                SerfClient(host=HOST).close()
                return
            except SerfConnectionError:
                if cls.agent.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    @classmethod
    def end(cls):
        cls.agent.terminate()
        try:
            cls.agent.wait(10)
        except subprocess.TimeoutExpired:
            cls.agent.kill()
            cls.agent.wait()

    def setUp(self):
        self.client = SerfClient(host=HOST)
        self.addCleanup(self.client.close)

    def expect(self, response, error=""):
        self.assertEqual(response.head["Error"], error)
        return response.body

    def names(self, **filters):
        return [member["Name"] for member in self.expect(self.client.members(**filters))["Members"]]

    def test_handshake_once(self):
        connection = SerfConnection(host=HOST)
        self.addCleanup(connection.close)
        self.expect(connection.handshake())
        self.expect(connection.handshake(), "Handshake already performed")

    def test_handshake_is_required(self):
        connection = SerfConnection(host=HOST)
        self.addCleanup(connection.close)
        connection._socket = connection._connect()
        self.expect(connection.call("stats", expect_body=False), "Handshake required")

    def test_auth_without_a_token(self):
        self.expect(self.client.connection.auth("x"), "Invalid authentication token")

    def test_members(self):
        [member] = self.expect(self.client.members())["Members"]
        self.assertEqual(member["Name"], "python")
        self.assertEqual(member["Status"], "alive")
        self.assertEqual(member["Tags"], {"foo": "bar"})
        self.assertEqual(member["Port"], 7946)
        self.assertEqual(bytes(member["Addr"]), bytes([127, 83, 67, 1]))

    def test_members_by_name(self):
        self.assertEqual(self.names(name="pyth.*"), ["python"])
        self.assertEqual(self.names(name="pyth"), [])

    def test_members_by_status(self):
        self.assertEqual(self.names(status="alive"), ["python"])
        self.assertEqual(self.names(status="failed|left"), [])

    def test_members_by_tags(self):
        self.assertEqual(self.names(tags={"foo": "b.r"}), ["python"])
        self.assertEqual(self.names(tags={"foo": "baz"}), [])
        self.assertEqual(self.names(name="python", status="alive", tags={"foo": "bar"}), ["python"])

    def test_event(self):
        self.expect(self.client.event("name"))

    def test_event_with_payload(self):
        self.expect(self.client.event("name", "payload"))
        self.expect(self.client.event("name", b"\x00\xff", coalesce=False))

    def test_event_too_large(self):
        error = "user event exceeds configured limit of 512 bytes before encoding"
        self.expect(self.client.event("name", "x" * 600), error)

    def test_join(self):
        self.assertEqual(self.expect(self.client.join(BIND)), {"Num": 1})
        self.assertEqual(self.expect(self.client.join([BIND, NOBODY])), {"Num": 1})

    def test_join_nobody(self):
        response = self.client.join([NOBODY])
        self.assertIn("connection refused", response.head["Error"])
        self.assertEqual(response.body, {"Num": 0})

    def test_force_leave(self):
        self.expect(self.client.force_leave("nobody"))

    def test_stats(self):
        stats = self.expect(self.client.stats())
        self.assertEqual(sorted(stats), ["agent", "event_handlers", "runtime", "serf", "tags"])
        self.assertEqual(stats["agent"], {"name": "python"})
        self.assertEqual(stats["tags"], {"foo": "bar"})

    def test_stream(self):
        stream = self.client.stream("user:streamed,query")
        self.expect(stream)
        other = SerfClient(host=HOST)
        self.addCleanup(other.close)
        for payload in [b"one", b"two"]:
            self.expect(other.event("unheard", coalesce=False))
            self.expect(other.event("streamed", payload, coalesce=False))
            record = next(stream.body)
            self.assertEqual(self.expect(record)["Name"], "streamed")
            self.assertEqual(bytes(record.body["Payload"]), payload)

    def test_many_calls_on_one_connection(self):
        for _ in range(100):
            self.assertEqual(self.names(), ["python"])
            self.expect(self.client.event("name"))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
