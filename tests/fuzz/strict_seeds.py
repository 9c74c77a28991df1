"""Writes the raw bytes of tests/strict into FOLDER/request and FOLDER/response, a file per case: seeds
for the fuzz targets, and cases that they run each time. Usage: strict_seeds.py FOLDER"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "strict"))
sys.dont_write_bytecode = True

import backend_cases  # noqa: E402
import request_cases  # noqa: E402


def write(folder, seeds):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, data in seeds.items():
        (folder / name).write_bytes(data)


folder = pathlib.Path(sys.argv[1])
write(folder / "request",
      {case[0]: case[2] for case in request_cases.CASES} |
      {case[0]: b"GET / HTTP/1.1\r\nHost: h\r\n" + case[2] + b"\r\n" for case in request_cases.HEADS})
write(folder / "response",
      {case[0]: case[3] for case in backend_cases.CASES} |
      {case[0]: backend_cases.length(b"hello", case[2]) for case in backend_cases.HEADS})
(folder / "done").touch()
