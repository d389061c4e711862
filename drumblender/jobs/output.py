"""Writes what was rendered, all by one gain."""

import functools
import sys
from typing import List, Sequence, Tuple

import numpy as np
import torch

from drumblender.files.parallel import Workers
from drumblender.files.takes import Take, describe_scales, forget, full_scales, write_take
from drumblender.files.text import printable
from drumblender.jobs.plan import stem_files
from drumblender.jobs.request import Report, Request
from drumblender.jobs.studio import SHOWN_S
from drumblender.signal import resample


def write_after_a_stop(request: Request, reports: Sequence[Report], total: int) -> None:
    """Write what there is, which takes a moment, and say how much of all that is."""
    if not reports:
        return
    print("Stopped; what is finished is being written ...", file=sys.stderr)
    written = write(request, reports, Workers(1))
    done = sum(report.error is None for report in written)
    print(f"{done} of {total} recordings are written.", file=sys.stderr)


def write(request: Request, reports: Sequence[Report], workers: Workers) -> List[Report]:
    """Write what was made, all by one gain; gives reports with what failed now."""
    takes = [take for report in reports for take in report.takes]
    scales = full_scales(takes, request.normalize, request.bits)
    for line in describe_scales(takes, scales, request.normalize, request.bits):
        print(printable(line))
    scale_of = iter(scales)
    tasks = [(report, [next(scale_of) for _ in report.takes]) for report in reports]
    return list(workers.map(functools.partial(_write_report, request.bits), tasks))


def _write_report(bits: int, task: Tuple[Report, Sequence[float]]) -> Report:
    """Write the takes of one report."""
    report, scales = task
    for take, scale in zip(report.takes, scales):
        try:
            write_take(take, scale, bits)
            _remove_former_stems(take)
            if take.inputs:
                _draw(take, scale)
        except Exception as error:
            report = report.failed(error)
        finally:
            forget(take)
    return report


def _remove_former_stems(take: Take) -> None:
    """Remove parts of an earlier sound of this name that this one does not have."""
    for folder in {path.parent for path in take.stems.values()}:
        for path in set(stem_files(folder, take.destination).values()) - set(take.stems.values()):
            path.unlink(missing_ok=True)


def _draw(take: Take, full_scale: float) -> None:
    """Write a picture of a take beside it, or of its beginning if it is long."""
    from drumblender.plotting import plot_parts, save_figure

    path, rate = take.destination, take.sample_rate
    length = round(SHOWN_S * rate)
    signals = []
    for label, file, its_rate in take.inputs:
        samples = torch.from_numpy(np.fromfile(file, np.float32))
        signals.append((label, resample(samples, its_rate, rate)[:length]))
    for name in take.recorded:
        blocks, shown = [], 0
        for block in take.blocks(name, full_scale):
            blocks.append(block if block.ndim == 1 else block[:, 0])
            shown += len(block)
            if shown >= length:
                break
        samples = np.concatenate(blocks)[:length]
        signals.append((name.capitalize() or "Output", torch.from_numpy(samples)))
    title = path.name
    if take.length > length:
        title += f", the first {SHOWN_S:g} s"
    save_figure(plot_parts(signals, rate, title), path.with_suffix(".png"))


def print_written(report: Report) -> None:
    for take in report.takes if report.error is None else ():
        info = f"{take.length / take.sample_rate:.2f} s at {take.sample_rate} Hz"
        print(printable(f"{take.destination}: {info}"))
