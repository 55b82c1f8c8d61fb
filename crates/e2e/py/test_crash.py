"""After a kill: every acknowledged change is there, the one that was open is there
whole or not at all, and what is there answers calls."""

import base64
import hashlib
import json
import os

from crash_changes import code
from platform_under_test import Case


def journal():
    """Per name: the last acknowledged state, and the state asked for but not acknowledged."""
    known, opened = {}, {}
    with open(os.environ["JOURNAL"], encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            if line["acknowledged"]:
                known[line["name"]] = line["after"]
                opened.pop(line["name"], None)
            else:
                known.setdefault(line["name"], None)
                opened[line["name"]] = line["after"]
    return known, opened


class Crash(Case):
    def seen(self, name):
        try:
            function = self.aws.get_function(FunctionName=name)
        except self.aws.exceptions.ResourceNotFoundException:
            return None
        configuration = function["Configuration"]
        return (
            configuration["CodeSha256"],
            configuration["Description"],
            function.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
        )

    def wanted(self, state):
        if state is None:
            return None
        digest = base64.b64encode(hashlib.sha256(code(state["mark"])).digest()).decode()
        return (digest, state["description"], state["reserved"])

    def test_every_acknowledged_change_is_there_and_answers(self):
        known, opened = journal()
        self.assertGreater(len(known), 0)
        pages = self.aws.get_paginator("list_functions").paginate()
        listed = {f["FunctionName"] for page in pages for f in page["Functions"]}
        for name, state in known.items():
            allowed = [state] + ([opened[name]] if name in opened else [])
            seen = self.seen(name)
            with self.subTest(name=name, allowed=allowed):
                fits = [a for a in allowed if self.wanted(a) == seen]
                self.assertTrue(fits, f"seen {seen}")
                self.assertEqual(name in listed, seen is not None)
                if seen is not None:
                    self.active(name)
                    self.assertEqual(self.ok(name), fits[0]["mark"])
                    self.remove(name)  # the next round has names of its own
                    self.assertIsNone(self.seen(name))
