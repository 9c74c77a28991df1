#!/usr/bin/python3
"""Adds up the parts of a test run: cmocka programs (as ctest -V printed them) and pytest's JUnit
files. Prints what failed, and why things were skipped, and closes with the one line that counts.

    tests/summary.py FOLDER       reads FOLDER/*.ctest and FOLDER/*.xml
"""
import pathlib
import re
import sys
import xml.etree.ElementTree


class Sum:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []


def add_ctest(path, total):
    """A cmocka program prints a line per test; a program of another kind counts as one test."""
    per_program = {}
    names = {}
    for line in path.read_text(errors="replace").splitlines():
        start = re.match(r"\s*Start\s+(\d+): (\S+)", line)
        if start:
            names[start[1]] = start[2]
        inner = re.match(r"(\d+): \[\s*(OK|FAILED|SKIPPED|ERROR)\s*\] (\S.*)", line)
        if inner and not re.match(r"\w+: \d+ test\(s\)|\d+ test\(s\)", inner[3]):
            per_program.setdefault(inner[1], []).append((inner[2], inner[3]))
        end = re.match(r"\s*\d+/\d+ Test\s+#(\d+): (\S+) \.*\s*(\**\s*\S+)", line)
        if end:
            program, result = end[1], end[3]
            tests = per_program.get(program, [])
            # The closing list names failed tests once more: the last word on each counts.
            for name, state in {name: state for state, name in tests}.items():
                if state == "OK":
                    total.passed += 1
                elif state == "SKIPPED":
                    total.skipped.append((f"{end[2]}: {name}", "said so itself"))
                else:
                    total.failed.append(f"{end[2]}: {name}")
            good = "Passed" in result
            if not tests and good:
                total.passed += 1
            if not good and not any(state in ("FAILED", "ERROR") for state, _ in tests):
                total.failed.append(f"{end[2]}: the program itself ({result.strip('* ')})")


def add_junit(path, total):
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            total.failed.append(name)
        elif skipped is not None:
            total.skipped.append((name, skipped.get("message", "")))
        else:
            total.passed += 1


def main():
    folder = pathlib.Path(sys.argv[1])
    total = Sum()
    for path in sorted(folder.glob("*.ctest")):
        add_ctest(path, total)
    for path in sorted(folder.glob("*.xml")):
        add_junit(path, total)
    for path in sorted(folder.glob("*.broken")):  # a part that could not run at all
        total.failed.append(path.read_text().strip())
    for name, why in total.skipped:
        print(f"skipped: {name}: {why}")
    for name in total.failed:
        print(f"FAILED: {name}")
    print(f"{total.passed} passed, {len(total.failed)} failed, {len(total.skipped)} skipped")
    return 1 if total.failed or total.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
