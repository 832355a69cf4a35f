"""The dock "Batch": one method or model over a folder of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_dip.batch.config import read_config, saved, write_config
from napari_dip.batch.report import TO_DO
from napari_dip.batch.task import Task
from napari_dip.errors import UsageError
from napari_dip.widgets.docks.base import SCROLL_BAR, WIDTH
from napari_dip.widgets.docks.leaving import Leaving
from napari_dip.widgets.layers.open_files import open_job
from napari_dip.widgets.napari_hooks.preferences import preferences
from napari_dip.widgets.parts.file_table import FileTable
from napari_dip.widgets.parts.files_box import FilesBox
from napari_dip.widgets.parts.layouts import scrolled
from napari_dip.widgets.parts.method_box import Choices
from napari_dip.widgets.parts.model_box import ModelBox
from napari_dip.widgets.runs.batch_run import BatchRun, ordered

if TYPE_CHECKING:
    from collections.abc import Sequence

    import napari.viewer

    from napari_dip.batch.jobs import Job
    from napari_dip.widgets.runs.batch_run import BatchOrder

HELP = {
    "What would be done": "List the files and the size of their results; nothing is written.",
    "Run": "Work on all files that are not done yet; one that fails is named, and the rest goes on.",
    "Stop": "End after the step at hand; Run goes on where it stopped.",
    "Load settings...": "Take method, settings and pattern from a file, as napari-dip denoise --config does.",
    "Save settings...": "Write such a file.",
}


class BatchWidget(Leaving):
    """Denoises the files of a folder, and shows what became of each.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where files are opened by a double-click on their row.
    """

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer: Any = viewer
        self.run: BatchRun | None = None
        self.files, self.model, self.table = (
            FilesBox(),
            ModelBox("none: fit every image"),
            FileTable(),
        )
        self.choices = Choices(
            preferences().device, [*self.files.rows.labels, *self.model.rows.labels]
        )
        self.choices.keeps = False
        self.choices.uncertainty.setText("Write the standard deviation too")
        self.choices.uncertainty.setToolTip(
            "A second file beside each result: where the answer is less certain."
        )
        self.buttons = {name: QPushButton(name) for name in HELP}
        self.bar, self.message = QProgressBar(), QLabel()
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._lay_out()
        self._connect()
        self._on_model()
        self._set_running(False)

    def order(self, dry_run: bool = False) -> BatchOrder:
        """Return what is chosen; a ValueError says in a sentence what is missing."""
        how = self.choices.settings() if self.model.path is None else self.model.settings()
        chosen = self.files.chosen()
        std = self.model.path is None and how.to_json().get("uncertainty", "none") != "none"
        task = Task(
            how,
            self.choices.device.device,
            chosen["axes"],
            chosen["dtype"],
            self.files.replace.isChecked(),
            dry_run=dry_run,
            std=std,
            pattern=chosen["pattern"],
            recursive=chosen["recursive"],
        )
        return ordered(self.files.inputs(), self.files.folder(), task, self.model.path)

    def start(self, dry_run: bool = False) -> BatchRun | None:
        """Run on what is chosen; return the run, or None where the choice cannot be run."""
        if self.run is not None and self.run.running:
            return None
        try:
            order = self.order(dry_run)
        except (ValueError, OSError) as error:
            self.say(str(error), error=True)
            return None
        self.run = run = BatchRun(order)
        self.destroyed.connect(
            run.stop
        )  # napari's closing window deletes docks without closing them
        run.planned.connect(self._on_planned)
        run.moved.connect(self._on_moved)
        run.worked.connect(self._on_worked)
        run.ended.connect(self._on_ended)
        self.bar.setRange(0, 0)
        self.say("Looking for the files ...")
        self._set_running(True)
        run.start()
        return run

    def rehearse(self) -> BatchRun | None:
        """List what would be done."""
        return self.start(dry_run=True)

    def stop(self) -> None:
        """End the run; what is done stays."""
        self.leave()
        self.say("Stopping after the step at hand ...")

    def values(self) -> dict[str, Any]:
        """Return what is chosen as a file of settings holds it; a ValueError says what is wrong."""
        how, preset = self.choices.form.settings(), self.choices.preset.currentText()
        std = self.model.path is None and self.choices.uncertainty.isChecked()
        return saved(
            how,
            preset,
            self.model.path,
            device=self.choices.device.device,
            std=std,
            **self.files.chosen(),
        )

    def save(self, path: Path) -> None:
        """Write the settings as a file."""
        try:
            write_config(path, self.values(), overwrite=True)
        except (UsageError, ValueError) as error:
            self.say(str(error), error=True)
        else:
            self.say(
                f"Saved; on the command line: napari-dip denoise IMAGES -o RESULTS --config {path.name}"
            )

    def load(self, path: Path) -> None:
        """Show the settings of a file."""
        try:
            values = read_config(path)
        except UsageError as error:
            self.say(str(error), error=True)
            return
        self.files.show_chosen(values)
        self.model.row.line.setText(values.get("model", ""))
        self.choices.show_values(values)
        self.say(f"These are the settings of {path.name}.")

    def say(self, sentence: str, *, error: bool = False) -> None:
        """Show a sentence; one about an error in the colour of warnings."""
        self.message.setText(sentence)
        self.message.setStyleSheet("color: #e3b617;" if error else "")

    def leave(self) -> None:
        """End what runs; called when the dock is closed."""
        if self.run is not None:
            self.run.stop()

    def showEvent(self, event: Any) -> None:
        """Stand in one column in the font of napari, which is known only now."""
        super().showEvent(event)
        self.choices.align()

    def _on_planned(self, jobs: Sequence[Job]) -> None:
        self.table.show_jobs(jobs)
        self.bar.setRange(0, 1000 * max(len(jobs), 1))
        self.bar.setFormat(f"0 of {len(jobs)} files")

    def _on_moved(self, number: int, step: int, total: int) -> None:
        self.table.show_progress(number, step, total)
        self.bar.setValue(1000 * number + int(1000 * step / max(total, 1)))
        self.say(f"{self.table.jobs[number].source.name}: step {step:,} of {total:,}.")

    def _on_worked(self, number: int, record: dict[str, Any]) -> None:
        self.table.show_record(number, record)
        if record["status"] == TO_DO:  # a rehearsal: nothing moves on
            return
        self.bar.setValue(1000 * (number + 1))
        self.bar.setFormat(f"{number + 1} of {len(self.table.jobs)} files")

    def _on_ended(self, sentence: str, error: bool) -> None:
        if self.bar.maximum() == 0:
            self.bar.setRange(0, 1)
            self.bar.reset()
        self.say(sentence, error=error)
        self._set_running(False)

    def _open(self, job: Job, failure: str) -> None:
        said, name = open_job(self.viewer, job), job.source.name
        reason = failure if name in failure else f"{name} failed: {failure}"
        self.say(reason if failure else said, error=bool(failure))

    def _on_model(self) -> None:
        self.choices.show_method(self.model.path is None)
        if self.model.path is None:
            self.model.about.hide()

    def _set_running(self, running: bool) -> None:
        for name, button in self.buttons.items():
            button.setEnabled(running == (name == "Stop"))

    def _look_for(self, name: str) -> None:
        saving = name.startswith("Save")
        ask = QFileDialog.getSaveFileName if saving else QFileDialog.getOpenFileName
        found, _ = ask(
            self, name.removesuffix("..."), "settings.toml" if saving else "", "Settings (*.toml)"
        )
        if found:
            path = Path(found)
            (self.save if saving else self.load)(
                path if path.suffix or not saving else path.with_suffix(".toml")
            )

    def _connect(self) -> None:
        self.buttons["What would be done"].clicked.connect(lambda: self.rehearse())
        self.buttons["Run"].clicked.connect(lambda: self.start())
        self.buttons["Stop"].clicked.connect(lambda: self.stop())
        for name in ("Load settings...", "Save settings..."):
            self.buttons[name].clicked.connect(lambda _=False, name=name: self._look_for(name))
        self.model.changed.connect(self._on_model)
        self.table.told.connect(self.say)
        self.table.opened.connect(self._open)

    def _lay_out(self) -> None:
        top = QWidget()
        layout = QVBoxLayout(top)
        layout.setContentsMargins(0, 0, 6, 0)
        layout.setSpacing(8)
        rows = [QHBoxLayout(), QHBoxLayout()]
        for name, button in self.buttons.items():
            button.setToolTip(HELP[name])
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            rows["settings" in name].addWidget(button)
        for part in (self.files, self.model, self.choices):
            layout.addWidget(part)
        layout.addLayout(rows[1])
        layout.addStretch(1)
        bottom = QWidget()
        under = QVBoxLayout(bottom)
        under.setContentsMargins(0, 0, 0, 0)
        under.setSpacing(6)
        under.addLayout(rows[0])
        under.addWidget(self.bar)
        under.addWidget(self.message)
        under.addWidget(self.table, stretch=1)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(scrolled(top))
        split.addWidget(bottom)
        split.setChildrenCollapsible(False)
        whole = QVBoxLayout(self)
        whole.addWidget(split)
        self.setMinimumWidth(max(WIDTH, top.minimumSizeHint().width() + SCROLL_BAR))
