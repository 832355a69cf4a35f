"""Every file read, worked on and written; what fails is said and the rest goes on."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_dip.batch.estimate import estimate_run, format_duration
from napari_dip.batch.process_file import Outcome, check_and_plan, done_before, process_file
from napari_dip.batch.report import BEFORE, DONE, FAILED, TO_DO, ReportWriter, dry_run
from napari_dip.cli import output as codes
from napari_dip.cli.consume_with_progress import consume_with_progress
from napari_dip.cli.output import Output
from napari_dip.cli.run_on_workers import Workers, run_on_workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_dip.batch.jobs import Job
    from napari_dip.batch.task import Task


def run(
    inputs: Sequence[Path], out: Path, task: Task, output: Output, workers: Workers | None = None
) -> int:
    """Work on the inputs, here or spread to workers, and return the exit code.

    Raises
    ------
    UsageError
        Before any work, when the call itself is wrong.
    """
    planned, jobs = check_and_plan(inputs, out, task)
    if task.dry_run:
        return _dry_run(jobs, task, output)
    records: dict[int, dict[str, Any]] = {}
    report = ReportWriter(out, task.shard) if len(planned) > 1 else None

    def write_report(now: bool) -> None:
        if report and records and (trouble := report.update(_ordered(records), now=now)):
            output.note(trouble)

    for number, outcome in _outcomes(jobs, task, workers, output):
        records[number] = outcome.record
        _print_outcome(jobs[number], outcome, output)
        if report and (trouble := report.show(outcome.record, outcome.pictures)):
            output.note(trouble)
        write_report(now=len(records) == len(jobs) or outcome.interrupted)
        if outcome.interrupted:
            break
    if len(records) < len(jobs):  # interrupted between two files
        write_report(now=True)
        left, state = len(jobs) - len(records), "done" if workers else "begun"
        output.note(f"Interrupted: {left} of {len(jobs)} files were not {state}.")
    return _print_end(jobs, _ordered(records), task, output)


def _ordered(records: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    return [records[number] for number in sorted(records)]


def _outcomes(
    jobs: Sequence[Job], task: Task, workers: Workers | None, output: Output
) -> Iterator[tuple[int, Outcome]]:
    def label(number: int) -> str:
        name = jobs[number].source.name
        return name if len(jobs) == 1 else f"{name} ({number + 1} of {len(jobs)})"

    if workers:
        for number, outcome in run_on_workers(jobs, task, workers, output):
            for note in outcome.notes:
                output.note(f"{label(number)}: {note}")
            yield number, outcome
        return
    for number, job in enumerate(jobs):
        if job.done:
            yield number, done_before(job)
        else:
            consume = partial(consume_with_progress, label=label(number), output=output)
            yield number, process_file(job, task, consume)


def _print_outcome(job: Job, outcome: Outcome, output: Output) -> None:
    record = outcome.record
    if "error" in record:
        output.note(f"{job.source}: {record['error']}")
    if outcome.summary:
        time = format_duration(record["seconds"])
        verdict = record.get("verdict")
        judged = f". {verdict['sentence']}" if verdict else ""
        output.print(f"{job.source}: {outcome.summary}, {time} -> {job.target}{judged}")
    if outcome.integers:
        output.print(f"{job.target}: {record['clipped']} values clipped to {outcome.integers}.")


def _print_end(
    jobs: Sequence[Job], records: Sequence[dict[str, Any]], task: Task, output: Output
) -> int:
    """Print how the run ended, and return the exit code."""
    counts = Counter(record["status"] for record in records)
    done, before = counts[DONE], counts[BEFORE]
    if len(jobs) > 1:
        earlier = f", {before} done before" if before else ""
        output.print(f"{done} of {len(jobs)} files done{earlier}, {counts[FAILED]} failed.")
    output.print_json(
        {
            "settings": task.settings.to_json(),
            "device": task.device,
            "files": records,
            "not_begun": len(jobs) - len(records),
        }
    )
    return codes.DONE if done + before == len(jobs) else codes.FAILED


def _dry_run(jobs: Sequence[Job], task: Task, output: Output) -> int:
    """Print what would be done, and how large it gets."""
    rows = []
    for row in dry_run(jobs, task):
        rows.append(row)
        detail = f" ({row['error']})" if "error" in row else ""
        if "axes" in row:
            detail = f" ({row['axes']} {tuple(row['shape'])}, {row['bytes']:,} bytes)"
        output.print(f"{row['status']}: {row['input']} -> {row['output']}{detail}")
    total = sum(row.get("bytes", 0) for row in rows)
    counts = Counter(row["status"] for row in rows)
    output.print(
        f"{counts[TO_DO]} to do ({total:,} bytes), {counts[BEFORE]} done before, "
        f"{counts[FAILED]} can't be read."
    )
    report: dict[str, Any] = {"dry_run": True, "files": rows, "bytes": total}
    seconds, sentence = estimate_run(jobs, rows, task)
    if sentence:
        output.print(sentence)
        report["seconds"] = seconds and round(seconds, 1)
    output.print_json(report)
    return codes.FAILED if counts[FAILED] else codes.DONE
