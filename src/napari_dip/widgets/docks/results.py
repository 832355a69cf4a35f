"""The answers of one start in a dock: what is in view, the verdict, other steps, saving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog

from napari_dip.widgets.layers.compare import DENOISED, NOISY, VIEWS, Compare
from napari_dip.widgets.layers.iterates import exchange
from napari_dip.widgets.napari_hooks.writer import OWN_SUFFIX, write_layer
from napari_dip.widgets.parts.result_box import ResultBox
from napari_dip.widgets.runs.fit_run import FitRun


class Results:
    """Keeps the runs of one start together; `box` shows them, `say` tells what was done."""

    def __init__(self, viewer: Any, say: Callable[..., None]) -> None:
        self.viewer, self.say, self.box = viewer, say, ResultBox()
        self.compare = Compare(viewer)
        self.runs: list[FitRun] = []
        self._steps: dict[int, int] = {}  # of each plane, the step that the layer shows
        self.box.view_chosen.connect(self.show)
        self.box.step_chosen.connect(self.use_step)
        actions = list(self.box.buttons.values())
        actions[0].clicked.connect(lambda: self.save())
        actions[1].clicked.connect(lambda: self.copy_settings())
        actions[2].clicked.connect(lambda: self.copy_methods_text())
        viewer.dims.events.point.connect(self._on_slider)

    def begin(self) -> None:
        """Forget the answers of the start before; their layers stay."""
        self.compare.clear()
        self.runs, self._steps = [], {}
        self.box.hide()

    def add(self, run: FitRun) -> None:
        """Take the answer of a run once it is seen, and show it in place of its source."""
        layer = run.request.layer
        source = layer if layer is not None and layer in self.viewer.layers else None
        self.compare.add(run.request.source, source, run.layer)
        self.box.show_answer(None, self.compare.has_residual)
        self.runs.append(run)

    def end(self) -> None:
        """Show what is known after a run has ended, with an answer or without."""
        self.compare.forget_missing()
        self.runs = [run for run in self.runs if run.layer in self.viewer.layers]
        if not self.runs:
            self.box.hide()
            return
        answer = self.runs[-1].answer
        self.box.show_answer(
            None if answer is None else answer.provenance, self.compare.has_residual
        )
        self._steps = (
            {} if answer is None or answer.iterates is None else dict(answer.iterates.answers)
        )
        self._on_slider()

    def show(self, view: str) -> None:
        """Bring the noisy image, the answer or the residual into sight."""
        if not self.compare.shown:
            return
        self.compare.show(view)
        if self.compare.shown:
            self.box.show_view(view, self.compare.has_residual)
        else:
            self.box.hide()

    def show_next(self) -> None:
        """Bring the next of the views into sight."""
        names = [name for name, made in self.box.views.items() if made.isEnabled()]
        if self.compare.shown and self.compare.view in names:
            self.show(names[(names.index(self.compare.view) + 1) % len(names)])

    def hold_noisy(self) -> Callable[[], None]:
        """Show the noisy image; the function returned goes back to what was in view."""
        view = self.compare.view
        self.show(NOISY)
        return lambda: self.show(view if view in VIEWS else DENOISED)

    def use_step(self, place: int) -> None:
        """Put another answer of the plane in view into the layer; all other planes stay."""
        run, plane = self._run_with_iterates(), self._plane_in_view()
        if run is None or plane is None or plane not in run.answer.iterates.planes:
            return
        iterate = run.answer.iterates.planes[plane].items[place]
        exchange(run.layer, run.request.source.plane_index(plane), iterate.pixels)
        self._steps[plane] = iterate.step
        answers = run.answer.iterates.answers
        used = {str(p): s for p, s in self._steps.items() if s != answers.get(p)}
        record = {k: v for k, v in run.answer.provenance.items() if k not in ("verdict",)}
        changed = {**record, "chosen_by": "user", "iterates_used": used}
        run.layers.set_provenance(changed if used else run.answer.provenance)
        self.compare.refresh()
        self.box.step_label.setText(f"This plane shows step {iterate.step:,}.")

    def save(self) -> None:
        """Ask for a file, and write the answer with all that is known of it; several beside it."""
        layers = self._layers()
        if not layers:
            self.say("The layer of the answer is gone: run again.", error=True)
            return
        name = layers[0].name.replace(": ", " ").replace("/", "_") + OWN_SUFFIX
        kinds = f"TIFF (*{OWN_SUFFIX} *.ome.tif *.tif);;OME-Zarr (*.ome.zarr)"
        found, _ = QFileDialog.getSaveFileName(self.box, "Save result", name, kinds)
        if found:
            self.write(Path(found))

    def write(self, path: Path) -> None:
        """Write the answers; with more than one, the name of each goes into the file's."""
        if not path.suffix:
            path = path.with_name(path.name + OWN_SUFFIX)
        stem, dot, end = path.name.partition(".")
        written, layers = [], self._layers()
        for layer in layers:
            own = "".join(c if c.isalnum() or c in " -_" else "_" for c in layer.name)
            target = path if len(layers) == 1 else path.with_name(f"{stem} {own}{dot}{end}")
            data, meta, _ = layer.as_layer_data_tuple()
            try:
                written += write_layer(str(target), data, meta)
            except (OSError, ValueError) as error:
                self.say(f"Not saved: {error}", error=True)
                return
        self.say(f"Saved {', '.join(Path(one).name for one in written)}.")

    def copy_settings(self) -> None:
        """Put the settings of the answer on the clipboard, as a command and as a file."""
        from napari_dip.batch.methods_text import settings_text

        self._copy(settings_text(self._record()), "The settings")

    def copy_methods_text(self) -> None:
        """Put a paragraph for a paper on the clipboard."""
        from napari_dip.batch.methods_text import methods_text
        from napari_dip.models.model import versions

        self._copy(methods_text(self._record(), versions()), "The paragraph")

    def shut_down(self) -> None:
        """Let go of the viewer."""
        self.viewer.dims.events.point.disconnect(self._on_slider)
        self.runs, self.compare.shown = [], []

    def _copy(self, text: str, what: str) -> None:
        clipboard: Any = QGuiApplication.clipboard()
        if text:
            clipboard.setText(text)
        self.say(
            f"{what} {'is' if what.endswith('h') else 'are'} on the clipboard."
            if text
            else "There is nothing to copy: such a run is repeated here only.",
            error=not text,
        )

    def _record(self) -> dict[str, Any]:
        layers = self._layers()
        return dict(layers[0].metadata.get("napari_dip", {})) if layers else {}

    def _layers(self) -> list[Any]:
        return [run.layer for run in self.runs if run.layer in self.viewer.layers]

    def _run_with_iterates(self) -> Any:
        run = self.runs[-1] if self.runs else None
        has = run is not None and run.answer is not None and run.answer.iterates is not None
        return run if has and run is not None and run.layer in self.viewer.layers else None

    def _plane_in_view(self) -> int | None:
        """Return the number of the plane of the answer that the sliders stand on."""
        run = self._run_with_iterates()
        if run is None:
            return None
        return run.request.source.plane_at(run.layer.world_to_data(self.viewer.dims.point))

    def _on_slider(self, event: Any = None) -> None:
        run, plane = self._run_with_iterates(), self._plane_in_view()
        if run is None or plane is None:
            self.box.show_steps(None, 0)
            return
        self.box.show_steps(run.answer.iterates.planes.get(plane), self._steps.get(plane, 0))
