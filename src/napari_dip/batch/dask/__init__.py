"""Work spread to the workers of a dask cluster; a worker imports this before torch."""

from napari_dip.engine.threads import let_idle_threads_sleep

let_idle_threads_sleep()
