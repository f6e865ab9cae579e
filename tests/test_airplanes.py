"""The airplanes data set: what is in it, that only motion tells the class, and how it is kept."""

import hashlib
import importlib.util
import json
import math
import pathlib
import sys

import av
import numpy as np
import pytest

from keras_vidreg.data import _airplane_clips as clips
from keras_vidreg.data import _rasterize, airplanes
from keras_vidreg.data.clip import Clip

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples" / "clips"


@pytest.fixture(scope="module")
def mesh():
    if importlib.util.find_spec("pyvista") is None:
        pytest.skip("pyvista, whose airplane mesh is rendered, is missing")
    return _rasterize.load_mesh()


def read_grey(path):
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(frames)


def rotation_angle(rotation):
    return math.degrees(math.acos(min(1.0, (np.trace(rotation) - 1) / 2)))


def test_the_motion_is_that_of_the_attitudes():
    for i in range(60):
        label, r = clips.attitudes("train", i, frames=2)
        step = r[0].T @ r[1]  # seen from the body
        axis = clips.AXES[label]
        turn = step - step.T  # antisymmetric, 2 sin(angle) along the axis
        forward = turn[(axis + 2) % 3, (axis + 1) % 3] > 0
        fast = rotation_angle(step) >= 8
        expected = f"{'fast' if fast else 'slow'} {'forward' if forward else 'backward'}"
        assert clips.motion("train", i) == expected
    assert {clips.motion("train", i) for i in range(60)} == set(clips.MOTIONS)


class TestRenderer:
    def test_square_covers_exactly_its_pixels_and_hides_what_is_behind(self):
        # Two squares that face the camera: the near one is smaller, and only its shade may show
        # inside it. Facing the camera, the shade is ambient + (1 - ambient) * light_z.
        near, far = 0.25, 0.5
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        vertices = np.concatenate(
            [np.c_[far * corners, np.zeros(4)], np.c_[near * corners, np.full(4, 0.5)]]
        )
        vertices[4:, 2] += near * corners[:, 0] * 0.5  # tilted, so that its shade differs
        far_square = np.array([[0, 1, 2], [0, 2, 3]])
        both = np.concatenate([far_square + 4, far_square])
        alone = _rasterize.render(vertices, far_square, np.eye(3), 64)
        ambient, light_z = _rasterize.AMBIENT, _rasterize.LIGHT[2]
        assert alone.max() == round(255 * (ambient + (1 - ambient) * light_z))
        scale = 32 * math.sqrt(_rasterize.CAMERA_DISTANCE**2 - 1)
        half = far * scale / _rasterize.CAMERA_DISTANCE
        assert np.sum(alone == alone.max()) == pytest.approx((2 * half) ** 2, rel=0.08)
        image = _rasterize.render(vertices, both, np.eye(3), 64)
        assert image[32, 32] != alone[32, 32] > 0
        np.testing.assert_array_equal(image[:18], alone[:18])  # above the near square
        reordered = _rasterize.render(vertices, both[::-1, ::-1], np.eye(3), 64)
        np.testing.assert_array_equal(image, reordered)  # order and winding do not matter

    def test_right_and_up_are_right_and_up(self):
        triangle = np.array([[0.5, 0.5, 0], [0.7, 0.5, 0], [0.6, 0.7, 0]])
        rows, columns = np.nonzero(
            _rasterize.render(triangle, np.array([[0, 1, 2]]), np.eye(3), 32)
        )
        assert rows.max() < 16 < columns.min()

    def test_airplane_stays_inside_the_image(self, mesh):
        vertices, triangles, _ = mesh
        for axis in range(3):
            turned = _rasterize.axis_rotation(axis, 1.0)
            image = _rasterize.render(vertices, triangles, turned, 64)
            assert image.any()
            assert not np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]).any()

    def test_body_axes_of_the_mesh(self, mesh):
        # Mirror symmetric across x = 0 only: x is along the wings. Flat in z: z is up.
        vertices = mesh[0]
        extent = np.ptp(vertices, axis=0)
        assert extent[0] > extent[2] < extent[1]
        gaps = []
        for axis in range(3):
            mirrored = vertices * np.where(np.arange(3) == axis, -1, 1)
            distance = np.abs(mirrored[:, None] - vertices[None]).max(axis=-1)
            gaps.append(distance.min(axis=1).max())
        assert gaps[0] < 0.01 < 0.05 < min(gaps[1:])


class TestMotion:
    @pytest.mark.parametrize("index", range(9))
    def test_constant_turn_about_the_body_axis_of_the_class(self, index):
        label, attitudes = clips.attitudes("train", index)
        assert label == clips.LABELS[index % 3]
        np.testing.assert_allclose(
            attitudes @ attitudes.transpose(0, 2, 1), np.tile(np.eye(3), (16, 1, 1)), atol=1e-12
        )
        np.testing.assert_allclose(np.linalg.det(attitudes), 1, atol=1e-12)
        steps = attitudes[:-1].transpose(0, 2, 1) @ attitudes[1:]  # seen from the body
        np.testing.assert_allclose(steps, np.tile(steps[0], (15, 1, 1)), atol=1e-12)
        axis = {"pitch": 0, "roll": 1, "yaw": 2}[label]
        np.testing.assert_allclose(steps[0][axis], np.eye(3)[axis], atol=1e-12)
        assert clips.SPEED[0] <= rotation_angle(steps[0]) <= clips.SPEED[1]

    def test_every_frame_is_uniform_on_so3_whatever_the_class(self):
        # Uniform on SO(3): the entries have mean 0 and variance 1/3, the rotation angle has
        # density (1 - cos a) / pi. Bounds are four standard errors.
        turned = np.stack([clips.attitudes("train", i)[1] for i in range(3000)])  # (n, 16, 3, 3)
        for k in range(3):
            for t in (0, 15):
                r = turned[k::3, t].reshape(1000, 9)
                assert np.abs(r.mean(axis=0)).max() < 4 * math.sqrt(1 / 3 / 1000)
                np.testing.assert_allclose(r.var(axis=0), 1 / 3, atol=4 * 0.3 / math.sqrt(1000))
                trace = r[:, [0, 4, 8]].sum(axis=1)
                angle = np.sort(np.arccos(np.clip((trace - 1) / 2, -1, 1)))
                expected = (angle - np.sin(angle)) / math.pi
                distance = np.abs(expected - np.linspace(0, 1, 1000)).max()
                assert distance < 2.0 / math.sqrt(1000)  # Kolmogorov-Smirnov, p < 0.001

    def test_speed_and_sign_do_not_depend_on_the_class(self):
        speeds = []
        for i in range(1500):
            label, r = clips.attitudes("validation", i, frames=2)
            step = r[0].T @ r[1]
            row, column = {"pitch": (2, 1), "roll": (0, 2), "yaw": (1, 0)}[label]
            speeds.append(math.degrees(math.asin(step[row, column])))
        speeds = np.array(speeds).reshape(-1, 3)  # one column per class
        assert np.abs((speeds > 0).mean(axis=0) - 0.5).max() < 4 * 0.5 / math.sqrt(500)
        middle = np.mean(clips.SPEED)
        assert np.abs(np.abs(speeds).mean(axis=0) - middle).max() < 4 * 2.31 / math.sqrt(500)

    def test_seed_split_and_index_each_change_the_clip(self):
        first = clips.attitudes("train", 0, seed=0)[1][0]
        np.testing.assert_array_equal(first, clips.attitudes("train", 0, seed=0)[1][0])
        for other in (("test", 0, 0), ("train", 3, 0), ("train", 0, 1)):
            assert np.abs(clips.attitudes(*other)[1][0] - first).max() > 0.01


def test_only_motion_tells_the_class(mesh):
    """Kernel ridge regression: at chance on a frame, far above with the step to a later one."""
    vertices, triangles, _ = mesh

    def pairs(split, count, size=16):
        images = np.empty((count, 2, size * size))
        for i in range(count):
            turned = clips.attitudes(split, i)[1]
            for k, t in enumerate((6, 8)):
                images[i, k] = _rasterize.render(vertices, triangles, turned[t], size).ravel()
        step = images[:, 1] - images[:, 0]
        unit = step / np.linalg.norm(step, axis=1, keepdims=True)
        return images[:, 0] / 255, unit, np.arange(count) % 3

    frame, step, label = pairs("train", 1000)
    test_frame, test_step, test_label = pairs("test", 300)

    def distance(a, b):
        return (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T

    def accuracy(train_kernel, test_kernel):
        target = np.eye(3)[label] - 1 / 3
        weights = np.linalg.solve(train_kernel + 0.05 * np.eye(len(label)), target)
        return np.mean((test_kernel @ weights).argmax(axis=1) == test_label)

    width = np.median(distance(frame, frame))
    alike = np.exp(-distance(frame, frame) / width)
    test_alike = np.exp(-distance(test_frame, frame) / width)
    alone = accuracy(alike, test_alike)
    # The square forgets the sign of the motion, which says nothing about the class.
    moving = accuracy(alike * (step @ step.T) ** 2, test_alike * (test_step @ step.T) ** 2)
    deviation = math.sqrt(1 / 3 * 2 / 3 / 300)
    assert abs(alone - 1 / 3) < 4 * deviation  # 0.22 to 0.44
    assert moving > 0.58


class TestFiles:
    def test_lossless_and_the_same_bytes_each_time(self, mesh, tmp_path):
        frames = clips.render_clip("test", 1)
        assert frames.shape == (16, 64, 64) and frames.dtype == np.uint8
        for name in ("a.mkv", "b.mkv"):
            clips.write_clip(tmp_path / name, frames)
        assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mkv", "b.mkv"]
        np.testing.assert_array_equal(
            read_grey(tmp_path / "a.mkv"), np.repeat(frames[..., None], 3, axis=-1)
        )

    def test_pixels_are_those_of_version_1(self, mesh):
        if not mesh[2].startswith("370846416b2d"):
            pytest.skip("this PyVista ships another airplane mesh")
        frames = clips.render_clip("train", 0)
        digest = hashlib.sha256(frames.tobytes()).hexdigest()
        assert (clips.VERSION, digest[:16]) == (1, "fef6d07b80476582")

    def test_failed_write_leaves_nothing(self, tmp_path):
        with pytest.raises(ValueError, match="uint8"):
            clips.write_clip(tmp_path / "a.mkv", np.zeros((2, 8, 8)))
        assert not list(tmp_path.iterdir())

    def test_smaller_set_is_a_prefix_and_is_reused(self, mesh, tmp_path, monkeypatch):
        small = clips.generate(tmp_path, "train", 3, 0)
        written = {path: path.stat().st_mtime_ns for path in small}
        large = clips.generate(tmp_path, "train", 5, 0)
        assert large[:3] == small
        assert {path: path.stat().st_mtime_ns for path in small} == written
        manifest = json.loads((small[0].parent / "manifest.json").read_text())
        assert sorted(manifest["files"]) == [path.name for path in large]
        # What is complete needs neither the renderer nor PyVista.
        monkeypatch.setattr(clips, "render_clip", None)
        monkeypatch.setattr(_rasterize, "load_mesh", None)
        assert clips.generate(tmp_path, "train", 5, 0) == large

    def test_interruption_keeps_what_was_made_and_damage_is_repaired(
        self, mesh, tmp_path, monkeypatch
    ):
        render, made = clips.render_clip, []

        def failing(split, index, seed):
            if index == 3:
                raise KeyboardInterrupt
            made.append(index)
            return render(split, index, seed)

        monkeypatch.setattr(clips.os, "cpu_count", lambda: 1)
        monkeypatch.setattr(clips, "render_clip", failing)
        with pytest.raises(KeyboardInterrupt):
            clips.generate(tmp_path, "test", 4, 0)
        folder = tmp_path / "v1" / "seed0" / "test"
        kept = json.loads((folder / "manifest.json").read_text())["files"]
        assert set(kept) == {p.name for p in folder.glob("*.mkv")} != set()
        before = (folder / "00000_yaw.mkv").read_bytes()
        (folder / "00000_yaw.mkv").write_bytes(before[:100])

        monkeypatch.setattr(clips, "render_clip", lambda *a: made.append(a[1]) or render(*a))
        made.clear()
        paths = clips.generate(tmp_path, "test", 4, 0)
        assert sorted(made) == [0, *range(len(kept), 4)]
        assert paths[0].read_bytes() == before
        assert not list(folder.glob("*.part"))

    def test_missing_pyvista_gives_the_pip_line(self, tmp_path, monkeypatch):
        _rasterize.load_mesh.cache_clear()
        monkeypatch.setitem(sys.modules, "pyvista", None)
        with pytest.raises(ImportError, match=r'pip install "keras-vidreg\[airplanes\]"'):
            airplanes("test", clips=1, cache_dir=tmp_path)
        assert not list(tmp_path.iterdir())


class TestSource:
    def test_records_labels_groups(self, mesh, tmp_path):
        source = airplanes("validation", clips=7, cache_dir=tmp_path)
        assert len(source) == 7 and source.labels == ("yaw", "pitch", "roll")
        assert [source[i].label for i in range(7)] == [0, 1, 2, 0, 1, 2, 0]
        assert len({source[i].group for i in range(7)}) == 7
        assert source.clip == Clip(frames=16, fps=None, size=64, resize=None)
        again = airplanes("validation", clips=7, cache_dir=tmp_path)
        assert again.digest() == source.digest()

    def test_batches_give_the_rendered_pixels(self, mesh, tmp_path):
        source = airplanes("test", clips=3, cache_dir=tmp_path)
        video, label = next(iter(source.batches(3, training=False)))
        assert video.shape == (3, 16, 64, 64, 3) and label.tolist() == [0, 1, 2]
        expected = np.stack([clips.render_clip("test", i) for i in range(3)]) / 255
        np.testing.assert_allclose(video[..., 0], expected, atol=1e-6)

    def test_cache_defaults_to_keras_home(self, mesh, tmp_path, monkeypatch):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        source = airplanes("test", clips=1)
        expected = tmp_path / "keras_vidreg" / "airplanes"
        assert expected in pathlib.Path(source[0].path).parents

    @pytest.mark.parametrize(
        "arguments, named",
        [
            ({"split": "dev"}, "split"),
            ({"split": "test", "task": "speed"}, "task"),
            ({"split": "test", "clips": 0}, "clips"),
            ({"split": "test", "clips": 2.5}, "clips"),
            ({"split": "test", "seed": -1}, "seed"),
        ],
    )
    def test_errors_name_the_argument(self, arguments, named, tmp_path):
        with pytest.raises(ValueError, match=f"`{named}`"):
            airplanes(**arguments, cache_dir=tmp_path)


def test_example_clips_are_of_the_test_split(mesh):
    paths = sorted(EXAMPLES.glob("*.mp4"))
    assert len(paths) == 12
    for path in paths:
        label, number = path.stem.split("_")
        index = clips.LABELS.index(label) + 3 * int(number)
        frames = read_grey(path)
        assert frames.shape == (16, 64, 64, 3)
        difference = frames[..., 0] - clips.render_clip("test", index).astype("float64")
        assert np.sqrt(np.mean(difference**2)) < 5  # lossy: grey levels of 255
