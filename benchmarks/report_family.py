"""Write docs/results/family.md and docs/results/training.md from the records of their benchmarks.

python benchmarks/report_family.py
"""

from __future__ import annotations

import numpy as np
from iddp import RATES
from report import RESULTS, load, made_by, table
from report_training import figures, large_data, rates, stability

from napari_dip.methods import registry

TRAINED = registry.settings_classes(registry.TRAINED)

FAMILY = """# Results: networks, patches, restarts

Written by `benchmarks/report_family.py` from the JSON files beside it. **All of this is a reduced size**: centres of 96 or
128 pixels and 32 channels on one CPU thread, where the papers took whole photographs and 128 channels on a GPU; the scripts run those by a
flag (see their headers), and that has not been done. PSNR in dB for the range 255. The records were made before BlindSpot and DIP were two methods: in them
BlindSpot is `method: dip` with `net: blind-spot`, and their labels were renamed since.
"""
TRAINING = """# Results: trained methods

Written by `benchmarks/report_family.py` from the records of `benchmarks/iddp.py`. Trained blind: on the very noisy images that are
scored, whose clean versions nothing sees. PSNR in dB for the range 255, images clipped to it; whole images of 512 x 512, and their
centres of 256 x 256. *Affine*: after the best gain and offset, since some captures are brighter or darker than their ground truth.

All but the first table and that of the 21 images were made with a U-Net at full size and eight orientations; *the default until then* had filter_channels=48 and depth=3.
What is headed *the default before*, and all from *Learning rates* on but the short runs of *Does it collapse?*, was measured before the default became what
it is: filter_channels=32, depth=2, beta2=0.999, learning_rate=0.0015, filter_share=0.8, 6000 steps. IDDP at *1500 steps*, *sigma 25* and *2250 steps* were measured before
the answer's offset was taken out (for IDDP worth 0.015 dB on FMD, 0.003 at sigma 25).

**Noise2Void, Neighbor2Neighbor, Noise2Noise and training on pairs were measured with the blind-spot filter as their start**, for nine tenths of
their steps, which was their default then: what the tables compare is mostly that filter. By default they take all steps for themselves now
(`start="zero"`), and have not been run again; nor have Blind2Unblind and CVF-SID been run on these images.
"""
NAMES = {
    "skip": "skip (published)",
    "resunet-0": "residual U-Net, p = 0",
    "resunet-0.1": "residual U-Net, p = 0.1",
}


def networks() -> str:
    """Xi's comparison of networks."""
    result = load("xi_networks")
    if result is None:
        return ""
    runs: dict[str, list[dict]] = {}
    cut = {key: run for key, run in result["runs"].items() if run["still_rising"]}
    for key, run in result["runs"].items():
        if key not in cut:
            runs.setdefault(key.split()[0], []).append(run)
    rows = []
    for net, found in runs.items():
        once, averaged, step, plateau = (
            np.mean([r[k] for r in found]) for k in ("once", "averaged", "step", "plateau")
        )
        rows.append(
            [
                NAMES.get(net, net),
                str(len(found)),
                f"{once:.2f}",
                f"{averaged:.2f}",
                f"{step:.0f}",
                f"{plateau:.0f}",
            ]
        )
    head = [
        "network",
        "runs",
        "peak of one output",
        "peak of the average",
        "at step",
        f"plateau within {result['within']} dB",
    ]
    text = "## Networks of z\n\nDeep Image Prior with several networks, fitted to photographs with noise of sigma 25, published constants, never stopped; means over images and seeds.\n\n"
    text += table(head, rows)
    for key, run in cut.items():
        text += f"\n{key}: {run['averaged']:.2f} dB and still rising after {run['step']} steps; cut short, not in the table.\n"
    by_image: dict[str, dict[str, list[float]]] = {}
    for key, run in result["runs"].items():
        net, image = key.split()[:2]
        by_image.setdefault(image, {}).setdefault(net, []).append(run["averaged"])
    nets = list(runs)
    text += "\nPeak of the average, by image:\n\n" + table(
        ["image", *(NAMES.get(n, n) for n in nets)],
        [
            [i, *(f"{np.mean(v[n]):.2f}" if n in v else "" for n in nets)]
            for i, v in by_image.items()
        ],
    )
    return text + (
        "\nAt this size the residual U-Net without dropout is level with the skip network and its plateau is wider; dropout lifts the single "
        "output by about 1.4 dB (it is itself an average), and costs the averaged one 0.2 to 0.4 dB. The published gain of 0.44 dB for p = 0.1 was "
        "not found at this size.\n\n"
        + made_by(result, f"python benchmarks/xi_networks.py --size {result['size']}")
    )


def patches() -> str:
    """PatchDIP's figures."""
    result = load("patchdip")
    if result is None:
        return ""
    images = result["denoise"]
    methods = list(dict.fromkeys(m for row in images.values() for m in row))
    rows = [[name, *(_patch_cell(row.get(m)) for m in methods)] for name, row in images.items()]
    if all("PatchDIP" in row for row in images.values()):
        columns = [[row[m]["stopped"] for row in images.values() if m in row] for m in methods]
        rows.append(
            ["**mean**", *(f"{np.mean(c):.2f}" if len(c) == len(images) else "" for c in columns)]
        )
    text = (
        "## PatchDIP\n\nThe answer that the stopping rule took; in brackets the peak of the averaged answer. *BlindSpot* is the default method "
        "of napari-dip, *PatchDIP* has the preset `fast`, *DIP, skip* is the skip network with 4 scales, *Deep Decoder* that network.\n\n"
        + table(["image", *methods], rows)
        + "\n"
        + _against(images)
        + "\n"
        + made_by(
            result,
            f"python benchmarks/patchdip.py --size {result['size']} --steps {result['steps']}",
        )
    )
    fit = result.get("fit") or {}
    if fit:
        count = len(next(iter(fit.values()))["loss"])
        picks = (max(count // 20 - 1, 0), count // 4 - 1, count // 2 - 1, count - 1)
        rows = [
            [name, f"{f['variance']:.3f}", *(f"{f['loss'][p]:.4f}" for p in picks)]
            for name, f in fit.items()
        ]
        text += (
            "\n### Fitting what does not repeat (Figure 3)\n\nMean squared error over the fit, at 5, 25, 50 and 100 per cent of the steps.\n\n"
            + table(["what", "variance", "5%", "25%", "50%", "100%"], rows)
            + "\nUniform noise: PatchDIP's loss stays well above DIP's at equal steps, as published: patches of noise have nothing in common. "
            + _same_against_strangers(fit)
        )
    return text


def _against(images: dict) -> str:
    """Say what PatchDIP gains on what it is compared with, stopped answers."""
    lines = []
    for method, other, words in (
        ("PatchDIP, random start", "DIP, skip", "the same network, steps and pixels a step"),
        ("PatchDIP", "DIP, skip", "the same kind of network"),
        ("PatchDIP", "BlindSpot", "both with their defaults"),
        ("PatchDIP", "GAT+blur", "a blur in the stabilised domain"),
        ("PatchDIP", "Gaussian J", "a blur whose width is calibrated"),
    ):
        gains = [
            row[method]["stopped"] - row[other]["stopped"]
            for row in images.values()
            if {method, other} <= row.keys()
        ]
        if gains:
            above = sum(gain > 0 for gain in gains)
            lines.append(
                f"- {method} against {other} ({words}): {np.mean(gains):+.2f} dB on average, from {min(gains):+.2f} to {max(gains):+.2f}, "
                f"above on {above} of {len(gains)}.\n"
            )
    used = [
        row["PatchDIP"]["cpu_seconds"]
        for row in images.values()
        if "cpu_seconds" in row.get("PatchDIP", {})
    ]
    if used:
        lines.append(
            f"- PatchDIP took {min(used):.0f} to {max(used):.0f} CPU seconds an image, looks at ground truth included.\n"
        )
    return "".join(lines)


def _same_against_strangers(fit: dict) -> str:
    """Say how fast nine patches of one photograph are fitted, and nine of nine photographs."""
    left = {
        kind: np.mean(
            [np.array(f["loss"]) / f["variance"] for name, f in fit.items() if kind in name], axis=0
        )
        for kind in ("patches of photograph", "of nine photographs")
    }
    one, many = left.values()
    return (
        "Nine patches of one photograph against the same places of nine photographs, means of three: at half of the steps "
        f"{one[len(one) // 2]:.2f} and {many[len(many) // 2]:.2f} of their variance are not fitted yet, at the end {one[-1]:.3f} and "
        f"{many[-1]:.3f}: one photograph's patches are fitted faster, as published.\n"
    )


def _patch_cell(cell: dict | None) -> str:
    if cell is None:
        return ""
    peak = f" ({cell['peak']:.2f})" if "peak" in cell else ""
    return f"{cell['stopped']:.2f}{peak}"


def restarts() -> str:
    """Average of restarts, and what the uncertainty knows."""
    result = load("restarts")
    if result is None:
        return ""
    text = ""
    if result["average"]:
        rows = [
            [
                name,
                f"{row['single_mean']:.2f}",
                f"{min(row['single']):.2f} to {max(row['single']):.2f}",
                f"{row['average']:.2f}",
                f"{row['average'] - row['single_mean']:+.2f}",
            ]
            for name, row in result["average"].items()
        ]
        gain = np.mean([row["average"] - row["single_mean"] for row in result["average"].values()])
        text += (
            f"## The average of {result['restarts']} restarts\n\nBlindSpot, the default method. On average {gain:+.2f} dB.\n\n"
            + table(["image", "single, mean", "single, range", "average", "gain"], rows)
            + "\n"
            + made_by(result, "python benchmarks/restarts.py --part average")
        )
    found = dict(result["uncertainty"])
    found.update((load("restarts_more") or {}).get("uncertainty", {}))
    names = list(dict.fromkeys(n for row in found.values() for n in row))
    rows = [
        [image, *(f"{row[n]['spearman']:.2f}" if n in row else "" for n in names)]
        for image, row in found.items()
    ]
    return text + (
        "\n## Does the uncertainty know where the error is?\n\nSpearman correlation, over all pixels, of the standard deviation with the true "
        "absolute error; centres of 128 x 128. *predicted*, *iterates* and *restarts* are those of BlindSpot, *iterates (skip)* and *dropout (resunet)* of DIP. "
        "The maps of *iterates* were those of the last step then; now they are those of the chosen step.\n\n"
        + table(["image", *names], rows)
        + "\nThe predicted standard deviation is the best of the sources. The last column says what the brightness of the answer "
        "alone would tell: about as much, since photon noise grows with it. The column *predicted* was measured before it was calibrated.\n\n"
        + made_by(result, "python benchmarks/restarts.py --part uncertainty")
        + calibration()
    )


def calibration() -> str:
    """How large errors are over the predicted deviation."""
    result = load("calibration")
    if result is None:
        return ""
    keys = ("error_over_std", "share_below", "rms_over_rms", "spearman")
    rows = [
        [image, *(" ".join(f"{row[key]:.2f}" for row in seeds) for key in keys)]
        for image, seeds in result["calibration"].items()
    ]
    head = ["image", "error / std", "share inside", "RMS error / RMS std", "rank"]
    command = f"python benchmarks/restarts.py --part calibration --size {result['size']} --name calibration"
    return (
        f"\n### Is the predicted deviation as large as the error?\n\nCentres of {result['size']} x {result['size']}, BlindSpot, "
        "seeds 0, 1 and 2. *error / std*: root mean square over the pixels, 1 is calibrated; *share inside*: pixels whose error is below the "
        "map, 0.68 for Gaussian errors; *RMS error / RMS std* weighs the pixels where both are large, the bright ones; *rank*: Spearman correlation "
        "of map and error. The clean image is a mean of 50 captures (W2S: 400), whose own noise is added to the map; W2S is matched by a straight line. "
        "Chosen on BPAE_G, mice, TwoPhoton_BPAE_R_1 and BPAE_B; the first four and the rest are tests.\n\n"
        + table(head, rows)
        + "\nThe brightest structure errs by more than the map says (up to 1.7 times), dim areas by less. W2S's captures and their averages differ by more than "
        "noise and a straight line. In an empty image the error is that of few numbers, above all of the mean, and scatters from seed to seed. What was tried is in [all results](index.md).\n\n"
        + made_by(result, command)
    )


def training(data: str, title: str) -> str:
    """One data set of the trained methods; the mean over seeds where there are several."""
    result = load(f"iddp_{data}")
    if result is None:
        return ""
    columns = result["columns"]
    rows = []
    for name, labels in _seeds(result).items():
        means = [
            np.mean([_numbers(row) for row in result["rows"][label].values()], axis=0)
            for label in labels
        ]
        cells = [_cell(c, m) for c, m in zip(columns, np.mean(means, axis=0), strict=True)]
        if len(labels) > 1:
            cells[0] += f" ({min(m[0] for m in means):.2f} to {max(m[0] for m in means):.2f})"
        runs = [result["runs"][label] for label in labels if label in result["runs"]]
        seconds = (
            [np.mean([run[key] for run in runs]) for key in ("train_seconds", "apply_seconds")]
            if runs
            else []
        )
        images = str(len(result["rows"][labels[0]]))
        seeds = ", ".join(label.rpartition(" seed ")[2] for label in labels) if runs else ""
        rows.append([name, images, seeds, *cells, " + ".join(f"{s:.0f}" for s in seconds)])
    titles = {
        "psnr": "PSNR",
        "psnr_affine": "PSNR, affine",
        "ssim": "SSIM",
        "psnr_centre": "PSNR, centre",
    }
    head = [
        "method",
        "images",
        "seeds",
        *(titles.get(c, c) for c in columns),
        "seconds, training + applying",
    ]
    text = f"## {title}\n\n" + table(head, rows)
    if data.startswith(("fmd", "mixed")):
        text += "\n" + _by_type(result)
    used = [run["settings"] for run in result["runs"].values()]
    methods, seeds = (
        ",".join(dict.fromkeys(str(s[key]) for s in used)) for key in ("method", "seed")
    )
    command = f"python benchmarks/iddp.py --data {data.split('_')[0]} --methods {methods} --seeds {seeds} --threads 1"
    command += f" --set {' '.join(_changed(used[0]))}" if used and _changed(used[0]) else ""
    remark = "Seconds are wall time on a machine with other work."
    if data == "fmd_48":
        remark = "One thread each on a machine with other work. On two threads of two cores that did nothing else a training took 570 s (seed 1)."
    return text + f"\n{remark}\n\n" + made_by(result, command)


def _changed(used: dict) -> list[str]:
    """Return the settings of a run that are not the method's default now, as key=value.

    What an old record names and no longer is a setting is left out.
    """
    how = TRAINED[used["method"]]
    used = {"beta2": 0.999, "unshuffle": 1, **used}  # before they were settings
    defaults = {**how().to_json(), "learning_rate": RATES[used["method"]]}
    known = defaults.keys() & used.keys() - {"method", "seed"}
    changed = {k: v for k, v in used.items() if k in known and v != defaults[k]}
    return [f'{k}="{v!r}"' if isinstance(v, str) else f"{k}={v!r}" for k, v in changed.items()]


def _cell(column: str, mean: float) -> str:
    return "" if np.isnan(mean) else f"{mean:.3f}" if column == "ssim" else f"{mean:.2f}"


def _numbers(row: list[float | None]) -> list[float]:
    return [np.nan if v is None else v for v in row]


def _seeds(result: dict) -> dict[str, list[str]]:
    """Return the rows' names by method."""
    found: dict[str, list[str]] = {}
    for label in result["rows"]:
        found.setdefault(label.rpartition(" seed ")[0] or label, []).append(label)
    return found


def _by_type(result: dict) -> str:
    kinds: dict[str, list[str]] = {}
    for image in next(iter(result["rows"].values())):
        kinds.setdefault(
            image.rsplit("_", 1)[0] if image.startswith("TwoPhoton") else image, []
        ).append(image)
    rows = [
        [
            name,
            *(
                f"{np.mean([result['rows'][n][i][0] for n in names for i in members]):.2f}"
                for members in kinds.values()
            ),
        ]
        for name, names in _seeds(result).items()
        if None not in (row[0] for row in result["rows"][names[0]].values())
    ]
    return "PSNR by type:\n\n" + table(["method", *kinds], rows)


def main() -> None:
    """Write both pages."""
    parts = [FAMILY, networks(), patches(), restarts()]
    (RESULTS / "family.md").write_text("\n".join(part for part in parts if part))
    sets = (
        ("fmd", "FMD, 17 images with independent noise, default settings"),
        (
            "fmd_48",
            "The default until then: a filter of 48 channels, a U-Net at full size, eight orientations",
        ),
        ("fmd_1500", "The same, 1500 steps, with Noise2Void and Neighbor2Neighbor"),
        (
            "fmd_6000",
            "The default before: a narrower filter, a U-Net of depth 2, beta2 = 0.999, 6000 steps",
        ),
        (
            "mixed",
            "FMD, the 17 images and four wide-field ones in one training, default settings",
        ),
        (
            "widefield",
            "FMD, wide-field alone, the preset correlated: before there was a network for it",
        ),
        ("gaussian25", "Six photographs, sigma 25, 600 steps"),
        ("poisson30", "Six photographs, Poisson noise (peak 30), 600 steps"),
        ("speckle0.1", "Six photographs, speckle (variance 0.1), 600 steps"),
        (
            "repeats",
            "One confocal field: IDDP from one capture, Noise2Noise from 20; 600 steps, the default before",
        ),
        ("w2s", "W2S, wide-field, 600 steps, the default before"),
        ("w2s_2250", "The same, the network and optimiser of now, 2250 steps"),
        ("fmd_tree", "The full FMD, test_mix"),
    )
    parts = [
        TRAINING,
        *(training(data, title) for data, title in sets),
        rates(),
        stability(),
        figures(),
        large_data(),
    ]
    (RESULTS / "training.md").write_text("\n".join(part for part in parts if part))


if __name__ == "__main__":
    main()
