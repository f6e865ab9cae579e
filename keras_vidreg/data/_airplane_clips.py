"""Render the airplane clips and keep them on disk; `airplanes` turns them into a `VideoSource`."""

import concurrent.futures
import fractions
import hashlib
import json
import math
import os

import av
import numpy as np
from rich.progress import track

from keras_vidreg._atomic import whole_file, write_json
from keras_vidreg.data import _rasterize

VERSION = 1  # names the cache folder: raise it when any pixel changes
LABELS = ("yaw", "pitch", "roll")
AXES = {"yaw": 2, "pitch": 0, "roll": 1}  # of the mesh: up, along the wings, along the fuselage
SPLITS = ("train", "validation", "test")  # the position is part of every clip's seed
FRAMES, SIZE, FPS = 16, 64, 16
SPEED = (4.0, 12.0)  # degrees per frame
MOTIONS = ("slow backward", "slow forward", "fast backward", "fast forward")
_CHUNK = 50  # clips between two saves of the manifest: at most this much is rendered again


def motion(split, index, seed=0):
    """One of `MOTIONS`: whether clip `index` of a split turns fast, and which way round."""
    speed = _draws(split, index, seed)[1]
    return MOTIONS[2 * (abs(speed) >= sum(SPEED) / 2) + (speed > 0)]


def _draws(split, index, seed):
    """Three uniform numbers for the first attitude, and the speed, of a clip."""
    entropy = np.random.SeedSequence([seed, SPLITS.index(split), index])
    u = np.random.Generator(np.random.PCG64(entropy)).random(5).tolist()
    return u[:3], (SPEED[0] + (SPEED[1] - SPEED[0]) * u[3]) * (1 if u[4] < 0.5 else -1)


def attitudes(split, index, seed=0, frames=FRAMES):
    """Label and attitudes (frames, 3, 3), body to camera, of clip `index` of a split.

    The first attitude is uniform on SO(3) and the motion turns it about a body axis at a constant
    speed, `R_t = R_0 A(speed * t)`. The uniform measure does not change under that, so every single
    frame is uniform on SO(3) too, whatever the class: only differences between frames tell.
    """
    u, speed = _draws(split, index, seed)
    # Uniform unit quaternion from three uniform numbers (Shoemake, Graphics Gems III, 1992).
    a, b, s, c = 2 * math.pi * u[1], 2 * math.pi * u[2], math.sqrt(1 - u[0]), math.sqrt(u[0])
    quaternion = (s * math.sin(a), s * math.cos(a), c * math.sin(b), c * math.cos(b))
    first = _rasterize.quaternion_matrix(quaternion)
    label = LABELS[index % len(LABELS)]
    turns = np.stack(
        [_rasterize.axis_rotation(AXES[label], math.radians(speed * t)) for t in range(frames)]
    )
    # Summed element by element: BLAS rounds differently from machine to machine.
    return label, (first[None, :, :, None] * turns[:, None]).sum(axis=2)


def render_clip(split, index, seed=0):
    """Grey frames (FRAMES, SIZE, SIZE) uint8 of clip `index` of a split."""
    vertices, triangles, _ = _rasterize.load_mesh()
    turned = attitudes(split, index, seed)[1]
    return np.stack([_rasterize.render(vertices, triangles, r, SIZE) for r in turned])


def write_clip(path, frames):
    """Write grey frames (T, H, W) uint8 as lossless FFV1 video in Matroska, whole or not at all.

    FFV1 stores RGB as it is, so no conversion of colours stands between the file and the pixels.
    """
    with whole_file(path) as part:
        # "bitexact" leaves the version of FFmpeg and random identifiers out of the file.
        options = {"fflags": "+bitexact"}
        with av.open(str(part), "w", format="matroska", options=options) as container:
            codec = {"flags": "+bitexact", "level": "3", "slices": "4"}
            stream = container.add_stream("ffv1", rate=FPS, options=codec)
            stream.height, stream.width = frames.shape[1:]
            stream.pix_fmt = "bgr0"
            stream.time_base = fractions.Fraction(1, FPS)
            stream.thread_count = 1
            for t, image in enumerate(frames):
                rgb = np.repeat(image[..., None], 3, axis=-1)  # (H, W, 3)
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                frame.pts = t
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def generate(root, split, clips, seed):
    """Paths of the first `clips` clips of a split below `root`, rendering those not yet there.

    A clip counts as there when its bytes have the SHA-256 that `manifest.json` states, so that a
    damaged file is rendered again, and after an interruption only what is missing.
    """
    folder = root / f"v{VERSION}" / f"seed{seed}" / split
    names = [f"{i:05d}_{LABELS[i % len(LABELS)]}.mkv" for i in range(clips)]
    paths = [folder / name for name in names]
    manifest = folder / "manifest.json"
    known = _read(manifest).get("files", {})
    missing = [i for i, path in enumerate(paths) if _describe(path) != known.get(path.name, "")]
    if not missing:
        return paths

    mesh = _rasterize.load_mesh()[2]  # also tells early that PyVista is missing
    if _read(manifest).get("mesh", mesh) != mesh:
        known, missing = {}, range(clips)  # another release of the mesh: do not mix the two
    folder.mkdir(parents=True, exist_ok=True)

    def produce(i):
        write_clip(paths[i], render_clip(split, i, seed))
        return names[i], _describe(paths[i])

    # Threads, because NumPy and FFmpeg let go of the interpreter while they work, and a caller's
    # script then needs no `if __name__ == "__main__"`.
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    done = {}
    try:
        jobs = [pool.submit(produce, i) for i in missing]
        finished = concurrent.futures.as_completed(jobs)
        for job in track(finished, f"airplanes: rendering {split}", total=len(jobs)):
            done.update([job.result()])
            if len(done) % _CHUNK == 0:
                _save(manifest, split, seed, mesh, {**known, **done})
    finally:
        pool.shutdown(cancel_futures=True)
        if done:
            _save(manifest, split, seed, mesh, {**known, **done})
    return paths


def _describe(path):
    """Size and SHA-256 of a file, or None where there is none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _read(manifest):
    try:
        return json.loads(manifest.read_text("utf-8"))
    except FileNotFoundError:
        return {}


def _save(manifest, split, seed, mesh, files):
    facts = {"version": VERSION, "split": split, "seed": seed, "mesh": mesh}
    write_json(manifest, {**facts, "files": dict(sorted(files.items()))})
