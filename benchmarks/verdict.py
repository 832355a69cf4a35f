"""How often `judge` flags failures planted into good answers, and how often it flags a good answer.

    python benchmarks/verdict.py [--size 256] [--cache FOLDER] [--sets tuning,test]

Good answers are those of BlindSpot() on centre crops; failures are planted into them. The limits of
`judge` were set on the tuning images alone. Blurs and ringing count as failures where they cost
0.3 dB or more against the answer, after the best straight line to the clean image; where they cost
less they are counted apart. Writes docs/results/verdict.json and verdict.md.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import DATA, NOISES, RESULTS, centre, machine, pair, save
from scipy.ndimage import gaussian_filter

from napari_dip import BlindSpot, denoise, read
from napari_dip.noise.measure import measure_noise
from napari_dip.noise.measured_noise import MeasuredNoise
from napari_dip.noise.verdict import judge

THREE, ONE = (0, 1, 2), (0,)  # seeds
SETS: dict[str, dict[str, tuple[int, ...]]] = {
    "tuning": {
        **dict.fromkeys(("BPAE_B", "BPAE_G", "BPAE_R", "fish", "mice"), THREE),
        **dict.fromkeys((f"TwoPhoton_BPAE_{channel}_1" for channel in "BGR"), THREE),
        **dict.fromkeys((f"set12/{n}+gaussian25" for n in ("01", "03", "05", "07")), THREE),
        **dict.fromkeys((f"set12/{n}+gaussian25" for n in ("08", "11")), THREE),
        **dict.fromkeys((f"set12/{n}+poisson30" for n in ("02", "04", "06", "09")), THREE),
        **dict.fromkeys((f"set12/{n}+poisson30" for n in ("10", "12")), THREE),
        **dict.fromkeys((f"bsd68/test{n}+gaussian25" for n in ("001", "025", "049")), ONE),
        **dict.fromkeys((f"bsd68/test{n}+poisson30" for n in ("009", "017", "041")), ONE),
        **dict.fromkeys((f"w2s/00{n}_{channel}" for n in (1, 2) for channel in (0, 1, 2)), ONE),
        **dict.fromkeys(("WideField_BPAE_R_1", "WideField_BPAE_R_2"), ONE),
        **dict.fromkeys(("bsd68/test033+speckle0.1",), ONE),
        **dict.fromkeys((f"bsd68/test{n}+gaussian25" for n in ("013", "029", "045", "061")), ONE),
        **dict.fromkeys((f"bsd68/test{n}+poisson30" for n in ("005", "021", "037", "053")), ONE),
        **dict.fromkeys((f"{n}@corner" for n in ("BPAE_B", "BPAE_G", "BPAE_R")), ONE),
        **dict.fromkeys((f"{n}@corner" for n in ("fish", "mice", "TwoPhoton_BPAE_G_1")), ONE),
        **dict.fromkeys((f"TwoPhoton_BPAE_{channel}_2@corner" for channel in "BR"), ONE),
        **dict.fromkeys((f"w2s/00{n}_{c}@corner" for n in (1, 2) for c in (0, 1, 2)), ONE),
        **dict.fromkeys(("WideField_BPAE_R_3@corner", "WideField_BPAE_R_4@corner"), ONE),
    },
    # The last rows and columns share a quarter of their pixels with the centres.
    "test": {
        **dict.fromkeys((f"{n}@end" for n in ("BPAE_B", "BPAE_G", "BPAE_R", "fish", "mice")), ONE),
        **dict.fromkeys((f"TwoPhoton_BPAE_{channel}_3@end" for channel in "BGR"), ONE),
        **dict.fromkeys((f"w2s/00{n}_{c}@end" for n in (1, 2) for c in (0, 1, 2)), ONE),
        **dict.fromkeys((f"bsd300_test/{n}+gaussian25" for n in (101085, 108082, 14037)), ONE),
        **dict.fromkeys((f"bsd300_test/{n}+poisson30" for n in (105025, 123074, 148026)), ONE),
        "bsd300_test/156065+gaussian25": ONE,
        "bsd300_test/160068+poisson30": ONE,
        "bsd68/test057+gaussian25": ONE,
        "bsd68/test065+poisson30": ONE,
        "WideField_BPAE_R_2@end": ONE,
    },
}
COST = 0.3  # dB
PAGE = """# Results: verdict

How often `napari_dip.noise.verdict.judge` finds failures that were planted into good answers, and
how often it blames a good answer. Good are the answers of the default, `BlindSpot()`, on parts of
256 x 256; what is planted is said in the rows (sigma is the noise's standard deviation at each
place). Blurs and ringing are failures where they cost 0.3 dB or more against the answer. A verdict
takes {cpu_seconds_512:.2f} CPU seconds for 512 x 512. `python benchmarks/verdict.py`.

*Flagged* counts any flag, *as* says which: spots that were erased are often called structure that
was added, since their surroundings are then too bright.

Rows named "20 spots of 1 sigma, 1.5 pixels" are beyond what can be seen: each spot lies 2.7 standard
errors above the noise, as many places do by chance; so do spots of 3 sigma on the wide-field
images, whose noise makes such spots itself. Of the other misses most are on w2s, where the detail
that a blur takes is far weaker than the noise. Two earlier test sets became tuning images when
limits were changed after a look at them.

A good answer that is blamed for a place need not be good there: it is said how much of the noisy
image's height above the answer, at its greatest over 2 pixels, the clean image has as well.
"""
Pixels = np.ndarray


def load(name: str, size: int, seed: int) -> tuple[Pixels, Pixels]:
    """Return (noisy, clean), float32: the centre, or another corner of the image.

    Names are those of `pair`, and photographs in colour such as ``bsd300_test/14037+poisson30``, of
    which the green is taken. ``@corner`` behind a name takes the first rows and columns, ``@end``
    the last.
    """
    name, _, where = name.partition("@")
    folder, _, rest = name.partition("/")
    if folder == "bsd300_test":
        photo, kind = rest.split("+")
        clean = np.asarray(read(DATA / folder / f"{photo}.png").pixels, dtype=np.float32)[..., 1]
        images = [NOISES[kind](clean, seed=seed, clip=(0, 255)), clean]
    else:
        images = list(pair(name, 10**6 if where else size, seed))
    parts = {"": lambda image: centre(image, size)}
    parts["corner"] = lambda image: image[:size, :size]
    parts["end"] = lambda image: image[-size:, -size:]
    noisy, clean = (parts[where](image).astype(np.float32) for image in images)
    return noisy, clean


def good_answer(name: str, noisy: Pixels, seed: int, cache: Path | None) -> Pixels:
    """Return the answer of the default, kept in `cache` where given."""
    file = cache and cache / f"{name.replace('/', '_')}_{seed}.npy"
    if file and file.exists():
        return np.load(file)
    answer = np.asarray(denoise(noisy, how=BlindSpot(seed=seed), device="cpu"), dtype=np.float32)
    if file:
        np.save(file, answer)
    return answer


def cost(clean: Pixels, answer: Pixels, other: Pixels) -> float:
    """Return by how many dB `other` is worse, each after the straight line to the clean image."""
    errors = [
        np.square(np.polyval(np.polyfit(image.ravel(), clean.ravel(), 1), image) - clean).mean()
        for image in (answer, other)
    ]
    return float(10 * np.log10(errors[1] / errors[0]))


def confirmed(noisy: Pixels, clean: Pixels, answer: Pixels, noise: MeasuredNoise) -> float:
    """Return how much of the greatest height above the answer the clean image has as well."""
    line = np.polyval(np.polyfit(clean.ravel(), noisy.ravel(), 1), clean)
    above, true = (
        gaussian_filter((image - answer) / noise.std(answer), 2) for image in (noisy, line)
    )
    return float(true.flat[above.argmax()] / above.max())


def spots(shape: tuple[int, ...], count: int, width: float, rng: np.random.Generator) -> Pixels:
    """Return Gaussian spots of height 1."""
    image = np.zeros(shape)
    image[tuple(rng.integers(8, np.array(shape) - 8, (count, 2)).T)] = 1
    return gaussian_filter(image, width) * 2 * np.pi * width**2


def failures(
    noisy: Pixels, clean: Pixels, answer: Pixels, noise: MeasuredNoise, seed: int
) -> Iterator[tuple[str, Pixels]]:
    """Yield name and image of each failure planted into an answer."""

    def little(image: Pixels) -> str:
        return "" if cost(clean, answer, image) >= COST else f", costs less than {COST} dB"

    rng = np.random.default_rng(100 + seed)
    sigma = noise.std(answer)
    rms = np.sqrt(np.square(sigma).mean())
    for width in (1, 1.5, 2):
        blurred = gaussian_filter(answer, width)
        yield f"too smooth: blurred by {width} pixels{little(blurred)}", blurred
    yield "too smooth: noisy image blurred by 8 pixels", gaussian_filter(noisy, 8)
    yield (
        "too smooth: 20 spots of 3 sigma erased",
        answer - 3 * sigma * spots(answer.shape, 20, 1.5, rng),
    )
    yield "noise left: 30% of the residual", answer + 0.3 * (noisy - answer)
    yield "noise left: the noisy image", noisy
    for factor in (0.95, 1.05):
        yield f"brightness: scaled by {factor}", factor * answer
    for offset in (-0.5, 0.5):
        yield f"brightness: offset of {offset} sigma", answer + offset * rms
    low, span = answer.min(), max(np.ptp(answer), 1e-6)
    for gamma in (0.9, 1.1):
        yield f"brightness: gamma of {gamma}", low + span * ((answer - low) / span) ** gamma
    for width in (0.7, 1, 1.5):
        texture = gaussian_filter(rng.normal(size=answer.shape), width)
        yield (
            f"made up: texture of 1 sigma, {width} pixels",
            answer + sigma * texture / np.std(texture),
        )
    for height, width in ((1, 1.5), (1, 3), (3, 1.5)):
        added = height * sigma * spots(answer.shape, 20, width, rng)
        yield f"made up: 20 spots of {height} sigma, {width} pixels", answer + added
    for strength in (0.5, 1.5):
        ringing = strength * (gaussian_filter(answer, 1) - gaussian_filter(answer, 3))
        yield f"made up: ringing of {strength}{little(answer + ringing)}", answer + ringing


class Table:
    """Counts of what was judged and flagged, by the name of a failure."""

    def __init__(self) -> None:
        self.judged: Counter[str] = Counter()
        self.flagged: Counter[str] = Counter()
        self.flags: dict[str, Counter[str]] = defaultdict(Counter)
        self.wrong: list[str] = []

    def add(self, row: str, image: str, flags: tuple[str, ...]) -> None:
        """Count one verdict."""
        self.judged[row] += 1
        self.flagged[row] += bool(flags)
        self.flags[row].update(flags)
        if bool(flags) == (row == "good"):
            self.wrong.append(f"{row}: {image} {' '.join(flags)}".strip())

    def to_json(self) -> dict[str, object]:
        """Return rows of flagged, judged and the names of the flags, and what went wrong."""
        rows = {r: [self.flagged[r], n, dict(self.flags[r])] for r, n in self.judged.items()}
        return {"rows": rows, "wrong": self.wrong}

    def to_page(self, part: str, images: dict[str, tuple[int, ...]]) -> str:
        """Return a table with a line for each kind of failure, and which good ones were blamed."""
        names = ", ".join(images)
        tuned = "on which the limits were set" if part == "tuning" else "not looked at before"
        lines = [f"## The {part} images, {tuned}", "", f"{names}.", ""]
        lines += ["| planted | flagged | of | as |", "|---|---|---|---|"]
        for row, count in sorted(self.judged.items()):
            flags = ", ".join(f"{name} {n}" for name, n in self.flags[row].most_common())
            lines.append(f"| {row} | {self.flagged[row]} | {count} | {flags} |")
        blamed = [one.removeprefix("good: ") for one in self.wrong if one.startswith("good")]
        return "\n".join([*lines, "", f"Good answers blamed: {'; '.join(blamed) or 'none'}.", ""])


def measure(images: dict[str, tuple[int, ...]], size: int, cache: Path | None) -> Table:
    """Judge good answers and failures on every image."""
    table = Table()
    for name, seeds in images.items():
        for seed in seeds:
            noisy, clean = load(name, size, seed)
            answer = good_answer(name, noisy, seed, cache).astype(np.float64)
            noise = measure_noise([noisy])
            planted = failures(noisy.astype(float), clean, answer, noise, seed)
            for row, image in [("good", answer), *planted]:
                verdict = judge(noisy, image, noise)
                flags = verdict.flagged if verdict else ()
                remark = ""
                if row == "good" and "structure_left" in flags:
                    share = confirmed(noisy, clean, answer, noise)
                    remark = f" (the clean image has {share:.0%} of it)"
                table.add(row, f"{name}, seed {seed}{remark}", flags)
    return table


def seconds_for(side: int) -> float:
    """Return the CPU seconds that a verdict on a square image takes."""
    rng = np.random.default_rng(0)
    clean = gaussian_filter(rng.normal(size=(side, side)), 4).astype(np.float32)
    noisy = clean + rng.normal(size=clean.shape).astype(np.float32)
    noise = measure_noise([noisy])
    judge(noisy, clean, noise)
    started = time.process_time()
    for _ in range(5):
        judge(noisy, clean, noise)
    return (time.process_time() - started) / 5


def main() -> None:
    """Measure, print tables in Markdown, and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--cache", type=Path, help="folder for the good answers")
    parser.add_argument("--sets", default="tuning,test")
    args = parser.parse_args()
    result: dict[str, object] = {"size": args.size, "machine": machine()}
    pages = [PAGE]
    for part in args.sets.split(","):
        table = measure(SETS[part], args.size, args.cache)
        seeds = {name: list(seeds) for name, seeds in SETS[part].items()}
        result[part] = {"seeds": seeds, **table.to_json()}
        pages.append(table.to_page(part, SETS[part]))
        print(pages[-1])
    result["cpu_seconds_512"] = seconds_for(512)
    print(f"{result['cpu_seconds_512']:.3f} CPU s for 512 x 512")
    if args.sets == "tuning,test":
        save("verdict", result)
        (RESULTS / "verdict.md").write_text("\n".join(pages).format(**result))


if __name__ == "__main__":
    main()
