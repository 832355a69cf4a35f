"""The tab "Batch": one method or model over a folder of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QProgressBar, QWidget

from napari_dip.batch.config import config_values, read_config, write_config
from napari_dip.batch.jobs import Job
from napari_dip.batch.report import TO_DO
from napari_dip.batch.task import Task
from napari_dip.errors import UsageError
from napari_dip.widgets.docks.base import WIDTH, Dock
from napari_dip.widgets.layers.open_files import open_job
from napari_dip.widgets.napari_hooks.preferences import preferences
from napari_dip.widgets.parts.file_table import FileTable
from napari_dip.widgets.parts.files_box import FilesBox
from napari_dip.widgets.parts.layouts import Message, button, column, fold, row, scroll_area
from napari_dip.widgets.parts.method_box import MethodBox
from napari_dip.widgets.parts.model_box import ModelBox
from napari_dip.widgets.runs.batch_run import BatchRun

RUN_HELP = {
    "What would be done": "List the files and the size of their results; nothing is written.",
    "Run": "Work on all files that are not done yet; one that fails is named, "
    "and the rest goes on.",
    "Stop": "End after the step at hand; Run goes on where it stopped.",
}
SETTINGS_HELP = {
    "Load settings...": "Take method, settings and pattern from a file.",
    "Save settings...": "Write such a file, for another day, another computer, or a cluster.",
}


class BatchWidget(Dock):
    """Denoises the files of a folder, and shows what became of each.

    A double-click on a file's row opens it in the viewer.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.run: BatchRun | None = None
        self.files, self.model = FilesBox(), ModelBox("none: fit every image")
        self.method_box = MethodBox(preferences().device, iterates=False)
        self.method_box.uncertainty.setText("Write the standard deviation too")
        self.method_box.uncertainty.setToolTip(
            "A second file beside each result: where the answer is less certain."
        )
        self.buttons = {name: button(name, tip) for name, tip in RUN_HELP.items()}
        self.settings_buttons = {name: button(name, tip) for name, tip in SETTINGS_HELP.items()}
        self.bar, self.message, self.table = QProgressBar(), Message(), FileTable()
        self._lay_out()
        self._connect()
        self._on_model()
        self._set_running(False)

    def make_run(self, dry_run: bool = False) -> BatchRun:
        """Return a run of what is chosen; a ValueError says in a sentence what is missing."""
        fits = self.model.path is None
        how = self.method_box.settings() if fits else self.model.settings()
        task = Task(
            how,
            self.method_box.device.device,
            overwrite=self.files.replace.isChecked(),
            dry_run=dry_run,
            std=fits and how.std_from != "none",
            model=self.model.path,
            orientations=self.model.orientations.currentData(),
            **self.files.task_options(),
        )
        return BatchRun(self.files.inputs(), self.files.folder(), task)

    def start(self, dry_run: bool = False) -> BatchRun | None:
        """Run on what is chosen; return the run, or None where the choice cannot be run."""
        if self.run is not None and self.run.running:
            return None
        try:
            self.run = run = self.make_run(dry_run)
        except (ValueError, OSError) as error:
            self.message.say(str(error), error=True)
            return None
        # napari's closing window deletes docks without closing them
        self.destroyed.connect(run.stop)
        run.planned.connect(self._on_planned)
        run.progressed.connect(self._on_progress)
        run.file_ended.connect(self._on_file_ended)
        run.ended.connect(self._on_ended)
        self.bar.setRange(0, 0)
        self.message.say("Looking for the files ...")
        self._set_running(True)
        run.start()
        return run

    def stop(self) -> None:
        """End the run; what is done stays."""
        self.shut_down()
        self.message.say("Stopping after the step at hand ...")

    def values(self) -> dict[str, Any]:
        """Return what is chosen as a file of settings holds it; a ValueError says what is wrong."""
        of_model = {"orientations": self.model.orientations.currentData()}
        return config_values(
            self.method_box.form.settings(),
            self.method_box.preset.currentText(),
            self.model.path,
            device=self.method_box.device.device,
            std=self.model.path is None and self.method_box.uncertainty.isChecked(),
            **self.files.options(),
            **(of_model if self.model.path is not None else {}),
        )

    def save(self, path: Path) -> None:
        """Write the settings as a file."""
        try:
            write_config(path, self.values(), overwrite=True)
        except (UsageError, ValueError) as error:
            self.message.say(str(error), error=True)
            return
        self.message.say(f"Saved as {path.name}.")

    def load(self, path: Path) -> None:
        """Show the settings of a file."""
        try:
            values = read_config(path)
        except UsageError as error:
            self.message.say(str(error), error=True)
            return
        self.files.show_options(values)
        self.model.row.line.setText(values.get("model", ""))
        index = self.model.orientations.findData(values.get("orientations"))
        self.model.orientations.setCurrentIndex(max(index, 0))
        self.method_box.show_values(values)
        self.message.say(f"These are the settings of {path.name}.")

    def shut_down(self) -> None:
        """End what runs; called when the dock is closed."""
        if self.run is not None:
            self.run.stop()

    def _on_planned(self, jobs: Sequence[Job]) -> None:
        self.table.show_jobs(jobs)
        self.bar.setRange(0, 1000 * max(len(jobs), 1))
        self.bar.setFormat(f"0 of {len(jobs)} files")

    def _on_progress(self, number: int, step: int, total: int) -> None:
        self.table.show_progress(number, step, total)
        self.bar.setValue(1000 * number + int(1000 * step / max(total, 1)))
        self.message.say(f"{self.table.jobs[number].source.name}: step {step:,} of {total:,}.")

    def _on_file_ended(self, number: int, record: Mapping[str, Any]) -> None:
        self.table.show_record(number, record)
        if record["status"] == TO_DO:  # a dry run: nothing moves on
            return
        self.bar.setValue(1000 * (number + 1))
        self.bar.setFormat(f"{number + 1} of {len(self.table.jobs)} files")

    def _on_ended(self, sentence: str, error: bool) -> None:
        if self.bar.maximum() == 0:
            self.bar.setRange(0, 1)
            self.bar.reset()
        self.message.say(sentence, error=error)
        self._set_running(False)

    def _on_job_opened(self, job: Job, failure: str) -> None:
        assert self.run is not None
        sentence, name = open_job(self.viewer, job, self.run.task.read), job.source.name
        if failure:
            sentence = failure if name in failure else f"{name} failed: {failure}"
        self.message.say(sentence, error=bool(failure))

    def _on_model(self) -> None:
        self.method_box.show_method(self.model.path is None)
        if self.model.path is None:
            self.model.about.hide()

    def _set_running(self, running: bool) -> None:
        for name, made in (*self.buttons.items(), *self.settings_buttons.items()):
            made.setEnabled(running == (name == "Stop"))

    def _browse(self, saving: bool) -> None:
        ask = QFileDialog.getSaveFileName if saving else QFileDialog.getOpenFileName
        title = "Save settings" if saving else "Load settings"
        found, _ = ask(self, title, "settings.toml" if saving else "", "Settings (*.toml)")
        if not found:
            return
        if saving:
            self.save(Path(found) if Path(found).suffix else Path(found).with_suffix(".toml"))
        else:
            self.load(Path(found))

    def _connect(self) -> None:
        self.buttons["What would be done"].clicked.connect(lambda: self.start(dry_run=True))
        self.buttons["Run"].clicked.connect(lambda: self.start())
        self.buttons["Stop"].clicked.connect(lambda: self.stop())
        load, save = self.settings_buttons.values()
        load.clicked.connect(lambda: self._browse(saving=False))
        save.clicked.connect(lambda: self._browse(saving=True))
        self.model.changed.connect(self._on_model)
        self.table.remark_clicked.connect(self.message.say)
        self.table.job_opened.connect(self._on_job_opened)

    def _lay_out(self) -> None:
        """Put folders, method and Run on top, then how it goes, then what is rarely changed."""
        layout = column(self.files, self.model, self.method_box.head, parent=self)
        layout.setContentsMargins(6, 6, 6, 4)
        layout.addLayout(row(*self.buttons.values()))
        layout.addWidget(self.bar)
        settings_row = QWidget()
        row(*self.settings_buttons.values(), parent=settings_row)
        self.advanced = fold("Advanced", settings_row, self.files.more, self.method_box)
        self.advanced.setToolTip("Which files and parts, device, and every setting of the method.")
        layout.addWidget(scroll_area(self.message, self.table, self.advanced), stretch=1)
        self.setMinimumWidth(WIDTH)
