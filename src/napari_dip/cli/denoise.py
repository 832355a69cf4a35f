"""The verbs that fit: every file read, fitted and written; what fails is said and the rest goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_dip.batch import report as states
from napari_dip.batch.config import config_values, write_config
from napari_dip.batch.process_file import Outcome, check_and_plan, done_before, process_file
from napari_dip.batch.report import ReportWriter, dry_run
from napari_dip.batch.task import Task, with_model
from napari_dip.cli.follow import consume_with_progress
from napari_dip.cli.output import DONE, FAILED, Talk, minutes
from napari_dip.cli.workers import spread_out
from napari_dip.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_dip.batch.jobs import Job
    from napari_dip.cli.file_flags import Call
    from napari_dip.cli.workers import Spread
    from napari_dip.settings import Settings


def asked(
    call: Call,
    settings: Settings,
    preset: str,
    model: Path | None,
    std: bool,
    save_config: Path | None,
) -> Task:
    """Return what a call of ``denoise`` asks for; its settings are written as a file where that is asked, too.

    Raises
    ------
    UsageError
        When the flags do not go together, or the file cannot be written.
    """
    if std and model is not None:
        raise UsageError("A trained model gives no standard deviation: leave out --std or --model.")
    if save_config is not None and not call.dry_run:
        names = ("device", "axes", "dtype", "pattern", "recursive")
        values = config_values(
            settings, preset, model, std=std, **{name: getattr(call, name) for name in names}
        )
        write_config(save_config, values, overwrite=call.overwrite)
    if std:
        settings = settings.with_uncertainty()
    std = std or (model is None and settings.std_from != "none")
    task = call.task(settings, std=std)
    return task if model is None else with_model(task, model)


def run(inputs: Sequence[Path], out: Path, task: Task, talk: Talk, to: Spread | None = None) -> int:
    """Work on the inputs, here or spread to workers, and return the exit code.

    Raises
    ------
    UsageError
        Before any work, when the call itself is wrong.
    """
    planned, jobs = check_and_plan(inputs, out, task)
    if task.dry_run:
        return _rehearse(jobs, task, talk)
    found: dict[int, dict[str, Any]] = {}
    table = ReportWriter(out, task.shard) if len(planned) > 1 else None
    for number, outcome in _spread(jobs, task, to, talk) if to else _one_by_one(jobs, task, talk):
        found[number] = outcome.record
        tell(jobs[number], outcome, talk)
        if table:
            _show(table, found, len(found) == len(jobs) or outcome.interrupted, talk)
        if outcome.interrupted:
            break
    if table and found and len(found) < len(jobs):  # interrupted between two files
        _show(table, found, True, talk)
    return _ended(jobs, [found[number] for number in sorted(found)], task, talk, to is not None)


def _show(table: ReportWriter, found: dict[int, dict[str, Any]], now: bool, talk: Talk) -> None:
    trouble = table.update([found[number] for number in sorted(found)], now=now)
    if trouble:
        talk.note(trouble)


def _one_by_one(jobs: Sequence[Job], task: Task, talk: Talk) -> Iterator[tuple[int, Outcome]]:
    for number, job in enumerate(jobs):
        yield number, done_before(job) if job.done else _one(job, task, _label(jobs, number), talk)


def _spread(
    jobs: Sequence[Job], task: Task, to: Spread, talk: Talk
) -> Iterator[tuple[int, Outcome]]:
    for number, outcome in spread_out(jobs, task, to, talk):
        for note in outcome.notes:
            talk.note(f"{_label(jobs, number)}: {note}")
        yield number, outcome


def _label(jobs: Sequence[Job], number: int) -> str:
    name = jobs[number].source.name
    return name if len(jobs) == 1 else f"{name} ({number + 1} of {len(jobs)})"


def _one(job: Job, task: Task, label: str, talk: Talk) -> Outcome:
    """Work on one file."""
    return process_file(job, task, lambda stream: consume_with_progress(stream, label, talk))


def tell(job: Job, outcome: Outcome, talk: Talk) -> None:
    """Say what became of one file."""
    record = outcome.record
    if "error" in record:
        talk.note(f"{job.source}: {record['error']}")
    if outcome.summary:
        talk.say(f"{job.source}: {outcome.summary}, {minutes(record['seconds'])} -> {job.target}")
    if outcome.integers:
        talk.say(f"{job.target}: {record['clipped']} values clipped to {outcome.integers}.")


def _ended(
    jobs: Sequence[Job], records: Sequence[dict[str, Any]], task: Task, talk: Talk, spread: bool
) -> int:
    """Say how the run ended, and return the exit code."""
    left = len(jobs) - len(records)
    if left:
        talk.note(
            f"Interrupted: {left} of {len(jobs)} files were not {'done' if spread else 'begun'}."
        )
    done, before, failed = (
        _count(records, state) for state in (states.DONE, states.BEFORE, states.FAILED)
    )
    if len(jobs) > 1:
        talk.say(
            f"{done} of {len(jobs)} files done{f', {before} done before' if before else ''}, {failed} failed."
        )
    talk.result(
        {
            "settings": task.settings.to_json(),
            "device": task.device,
            "files": records,
            "not_begun": left,
        }
    )
    return DONE if done + before == len(jobs) else FAILED


def _count(records: Sequence[dict[str, Any]], state: str) -> int:
    return sum(record["status"] == state for record in records)


def _rehearse(jobs: Sequence[Job], task: Task, talk: Talk) -> int:
    """Say what would be done, and how large it gets."""
    rows = []
    for row in dry_run(jobs, task.axes, task.dtype, task.outline):
        rows.append(row)
        talk.say(f"{row['status']}: {row['input']} -> {row['output']}{_detail(row)}")
    total = sum(row.get("bytes", 0) for row in rows)
    counts = {state: _count(rows, state) for state in (states.TO_DO, states.BEFORE, states.FAILED)}
    talk.say(
        f"{counts[states.TO_DO]} to do ({total:,} bytes), {counts[states.BEFORE]} done before, "
        f"{counts[states.FAILED]} can't be read."
    )
    talk.result({"dry_run": True, "files": rows, "bytes": total})
    return FAILED if counts[states.FAILED] else DONE


def _detail(row: dict[str, Any]) -> str:
    if "error" in row:
        return f" ({row['error']})"
    return (
        f" ({row['axes']} {tuple(row['shape'])}, {row['bytes']:,} bytes)" if "axes" in row else ""
    )
