"""The verb ``denoise``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from napari_dip.cli.file_options import FileOptions
from napari_dip.cli.flags import FILES, Inputs, build_settings, choice, flag, with_settings
from napari_dip.errors import UsageError
from napari_dip.methods.registry import METHODS
from napari_dip.settings import Settings

ModelFile = Annotated[
    Path | None,
    flag("A trained model (.safetensors) to apply instead of a fit; it brings its own settings."),
]
Orientations = Annotated[
    Literal[1, 2, 4, 8] | None,
    flag(
        "Flips and quarter turns that a trained model averages, where not as many as it names: "
        "eight take eight times as long as one, for a few hundredths of a dB."
    ),
]
WithStd = Annotated[
    bool,
    flag(
        "Write a standard deviation for every pixel beside each output, as OUT_std.tif. With "
        "blind-spot the error was 0.93 to 1.11 times as large on eight real crops, and 65 to 74% "
        "of the pixels lay within it; with dip and patchdip it only says where errors are larger. "
        "So does --uncertainty.",
        "--std",
        group=FILES,
    ),
]
ConfigFile = Annotated[
    Path | None,
    flag(
        "A file of settings, TOML, each line a flag of this verb without its dashes: seed = 4. "
        "Flags given here win."
    ),
]
SavedConfig = Annotated[
    Path | None,
    flag(
        "Write this call's settings as such a file (.toml), unless with --dry-run; the dock Batch "
        "loads it."
    ),
]


def denoise_verb(method: type[Settings]) -> Callable[..., int]:
    """Return the verb with the flags of one method."""
    default = next(iter(method.presets))

    def denoise(
        inputs: Inputs,
        /,
        *,
        options: FileOptions,
        method_name: str = method.method,
        model: ModelFile = None,
        orientations: Orientations = None,
        preset: str = default,
        std: WithStd = False,
        config: ConfigFile = None,
        save_config: SavedConfig = None,
        how: Settings | None = None,
    ) -> int:
        """Denoise images; a stack goes plane by plane.

        Ctrl-C keeps the answer so far: it is written, and the files not yet begun are left.
        """
        from napari_dip.batch.config import config_values, write_config
        from napari_dip.batch.task import with_model
        from napari_dip.cli import run_files

        workers = options.spread()
        settings = build_settings(method, preset, how)
        if model is not None and (how is not None or preset != default):
            raise UsageError(
                "--model brings its own settings: leave out --preset and the settings of a fit."
            )
        if orientations is not None and model is None:
            raise UsageError("--orientations is of a trained model: give it with --model.")
        if std and model is not None:
            raise UsageError(
                "A trained model gives no standard deviation: leave out --std or --model."
            )
        if save_config is not None and not options.dry_run:
            names = ("device", "axes", "dtype", "compression", "ome_zarr", "pattern", "recursive")
            flags = {name: getattr(options, name) for name in names}
            part = options.part_options.part.given()
            if model is not None:
                flags["orientations"] = orientations
            values = config_values(settings, preset, model, std=std, **flags, **part)
            write_config(save_config, values, overwrite=options.overwrite)
        if std:
            settings = settings.with_uncertainty()
        std = std or (model is None and settings.std_from != "none")
        task = options.task(settings, std=std, orientations=orientations)
        task = task if model is None else with_model(task, model)
        return run_files.run(inputs, options.out, task, options.output, workers)

    titles = "; ".join(f"{name}: {record.settings.title}" for name, record in METHODS.items())
    names: Any = Annotated[choice(METHODS), flag(f"What denoises: {titles}.", "--method")]
    return with_settings(denoise, method, method_name=names)
