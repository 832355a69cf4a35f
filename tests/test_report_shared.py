"""Two runs into one folder write one table and one page: no row is lost, none is mixed."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from napari_dip.batch.report import REPORT, write_report
from napari_dip.files import lock

COUNT = 40
WRITE = """
import sys
from pathlib import Path
from napari_dip.batch.report import ReportWriter

folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
writer, records = ReportWriter(folder), []
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    source, note = f"{name}{number}.tif", name * 9000
    records.append({"input": source, "status": "done", "output": source, "note": note})
    assert not writer.show(records[-1], {}) and not writer.update(records, now=True)
"""


def test_rows_and_entries_of_two_processes_stay(tmp_path: Path) -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, str(tmp_path), name, str(COUNT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for run in runs:
        assert run.stdout is not None and run.stdout.readline() == "ready\n"
    for run in runs:  # both begin now
        assert run.stdin is not None
        run.stdin.write("\n")
        run.stdin.flush()
    for run in runs:
        assert run.wait(100) == 0
        run.communicate()
    with (tmp_path / REPORT).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = {f"{name}{number}.tif" for name in "ab" for number in range(COUNT)}
    assert {row["input"] for row in rows} == names and len(rows) == len(names)
    assert all(row["note"] == row["input"][0] * 9000 for row in rows)
    page = (tmp_path / "napari-dip-report.html").read_text("utf-8")
    entries = [line for line in page.splitlines() if line.startswith("<section")]
    assert len(entries) == len(names) and all(line.endswith("</section>") for line in entries)


def test_the_output_of_a_file_that_failed_is_an_empty_cell(tmp_path: Path) -> None:
    write_report(tmp_path, [{"input": "a.tif", "output": None, "status": "failed", "error": "x"}])
    (row,) = csv.DictReader((tmp_path / REPORT).read_text("utf-8").splitlines())
    assert row["output"] == "" and row["error"] == "x"


def test_a_lock_that_is_never_given_back_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LONGEST", 0.05)
    record = {"input": "a.tif", "status": "done"}
    with lock.locked(tmp_path), pytest.raises(OSError, match="another process has held"):
        write_report(tmp_path, [record])
    write_report(tmp_path, [record])
