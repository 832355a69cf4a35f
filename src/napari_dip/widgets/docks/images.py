"""The dock "Denoise images": all that the plugin does, in four tabs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QDockWidget, QLabel, QTabWidget, QToolButton, QVBoxLayout, QWidget

from napari_dip.widgets.docks.base import Dock
from napari_dip.widgets.docks.batch import BatchWidget
from napari_dip.widgets.docks.denoise import DenoiseWidget
from napari_dip.widgets.docks.restore import RestoreWidget
from napari_dip.widgets.docks.train import TrainWidget

TITLE = "Denoise images"
PAGES = "https://napari-dip.github.io/napari-dip/"
TABS: dict[str, tuple[type[Dock], str, str]] = {  # of each the widget, its page, what it is for
    "Denoise": (DenoiseWidget, "napari/", "Take the noise out of the image in view."),
    "Train": (TrainWidget, "train/", "Make a model of your own images, to be applied quickly."),
    "Restore": (RestoreWidget, "restore/", "Fill missing pixels, enlarge, or denoise by a guide."),
    "Batch": (BatchWidget, "batch/", "Denoise all images of a folder."),
}


class DenoiseImages(Dock):
    """Shows the four tabs, each made when it is first opened.

    napari gives each entry of its menu a dock of its own. So that there is one only, a second one
    takes over the tabs of the first, at its own tab, and closes it.
    """

    tab: ClassVar[str] = "Denoise"

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        older = _open_dock(napari_viewer)
        self.tabs: QTabWidget | None = _new_tabs() if older is None else older.tabs
        self.pages: dict[str, Any] = {} if older is None else older.pages
        layout.addWidget(self.tabs)
        if older is not None:
            older.tabs = None
            older.let_go()
            napari_viewer.window.remove_dock_widget(older)
        assert self.tabs is not None
        self.tabs.currentChanged.connect(self._on_tab)
        help_button: Any = self.tabs.cornerWidget()
        help_button.clicked.connect(self.open_page)
        for key, function in self._keys().items():
            napari_viewer.bind_key(key, function, overwrite=True)
        self.show_tab(self.tab)

    def show_tab(self, name: str) -> Any:
        """Bring a tab to the front and return its widget."""
        assert self.tabs is not None
        if name not in self.pages:
            self.pages[name] = page = TABS[name][0](self.viewer)
            place: Any = self.tabs.widget(list(TABS).index(name))
            place.layout().addWidget(page)
            if isinstance(page, TrainWidget):
                page.model_wanted.connect(self.use_model)
            if isinstance(page, DenoiseWidget):
                page.tab_wanted.connect(self.show_tab)
        self.tabs.setCurrentIndex(list(TABS).index(name))
        return self.pages[name]

    @property
    def page(self) -> Any:
        """The widget of the tab in front."""
        assert self.tabs is not None
        return self.pages[list(TABS)[self.tabs.currentIndex()]]

    def use_model(self, path: Any) -> None:
        """Put a trained model into the tab Denoise, and open that."""
        self.show_tab("Denoise").extra.row.path = path

    def open_page(self) -> None:
        """Open the page of the documentation on the tab in front."""
        assert self.tabs is not None
        page = list(TABS.values())[self.tabs.currentIndex()][1]
        QDesktopServices.openUrl(QUrl(PAGES + page))

    def shut_down(self) -> None:
        """End what runs in any tab."""
        if self.tabs is None:  # another dock has them
            return
        self.let_go()
        for page in self.pages.values():
            page.shut_down()

    def let_go(self) -> None:
        """Listen to keys and tabs no more."""
        for key in self._keys():
            self.viewer.bind_key(key, None, overwrite=True)

    def showEvent(self, event: Any) -> None:
        """Name the dock as what it is, whichever entry of the menu has opened it."""
        super().showEvent(event)
        dock: Any = self.parent()
        if isinstance(dock, QDockWidget):
            dock.setWindowTitle(TITLE)
            bar: Any = dock.titleBarWidget()
            for label in [] if bar is None else bar.findChildren(QLabel):
                label.setText(TITLE)

    def _on_tab(self, index: int) -> None:
        if self.tabs is not None and index >= 0:
            self.show_tab(list(TABS)[index])

    def _keys(self) -> dict[str, Callable[..., Any]]:
        return {
            "Control-Alt-D": lambda viewer: self._call("start"),
            "Control-Alt-S": lambda viewer: self._call("stop"),
            "Control-Alt-V": lambda viewer: self._results("show_next"),
            "Control-Alt-W": lambda viewer: self._results("save"),
            "N": self._hold_noisy,
        }

    def _call(self, name: str) -> None:
        getattr(self.page, name)()

    def _results(self, name: str) -> None:
        results = getattr(self.page, "results", None)
        if results is not None and results.runs:
            getattr(results, name)()

    def _hold_noisy(self, viewer: Any) -> Iterator[None]:
        """Show the noisy image from the press of the key to its release."""
        results = getattr(self.page, "results", None)
        back = results.hold_noisy() if results is not None and results.runs else lambda: None
        yield
        back()


class OpenRestore(DenoiseImages):
    """The dock, at the tab Restore."""

    tab = "Restore"


class OpenTrain(DenoiseImages):
    """The dock, at the tab Train."""

    tab = "Train"


class OpenBatch(DenoiseImages):
    """The dock, at the tab Batch."""

    tab = "Batch"


def _new_tabs() -> QTabWidget:
    tabs = QTabWidget()
    tabs.setDocumentMode(True)
    for name, (_, _, tip) in TABS.items():
        place = QWidget()
        QVBoxLayout(place).setContentsMargins(0, 0, 0, 0)
        tabs.setTabToolTip(tabs.addTab(place, name), tip)
    help_button = QToolButton()
    help_button.setText("?")
    help_button.setToolTip("Open the page on this tab, in the browser.")
    tabs.setCornerWidget(help_button)
    return tabs


def _open_dock(viewer: Any) -> DenoiseImages | None:
    """Return the dock that is open in a viewer's window."""
    docked = getattr(getattr(viewer, "window", None), "dock_widgets", {})
    return next((one for one in docked.values() if isinstance(one, DenoiseImages)), None)
