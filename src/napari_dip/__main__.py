"""``python -m napari_dip`` is ``napari-dip``."""

from __future__ import annotations

from napari_dip.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
