"""The tables of published weights are consistent with each other and with the code. No network."""

import dataclasses
import inspect
import json
import re

import pytest

import keras_vidreg as kv
from keras_vidreg.checkpoints.layouts import LAYOUTS
from keras_vidreg.models._movinet import ARCHITECTURES
from keras_vidreg.zoo import BUILDERS, Preset
from keras_vidreg.zoo.labels import FOLDER, label_sets, read_labels
from keras_vidreg.zoo.published import PUBLISHED, TABLE


def test_names_are_unique_and_all_there():
    groups = json.loads(TABLE.read_text(encoding="utf-8"))
    assert sum(len(group["weights"]) for group in groups) == len(PUBLISHED)
    wanted = {f"movinet_a{i}_grw" for i in range(4)}
    wanted |= {f"movinet_a{i}{kind}" for i in range(6) for kind in ("", "_stream")}
    wanted |= {f"movinet_a{i}_model_garden" for i in range(6)}
    wanted |= {"slowonly_50", "slowfast_50", "csn_101", "resnet3d_rs_50"}
    assert wanted <= set(PUBLISHED)
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in PUBLISHED)
    addresses = [s.url or f"{s.repo}/{s.filename}" for s in PUBLISHED.values() if s.published]
    assert len(set(addresses)) == len(addresses)


def test_each_group_is_one_family_of_one_publisher():
    groups = [group["common"] for group in json.loads(TABLE.read_text(encoding="utf-8"))]
    keys = [(common["family"], common["publisher"]) for common in groups]
    assert len(set(keys)) == len(keys)


def check_arguments(builder, arguments):
    parameters = inspect.signature(BUILDERS[builder]).parameters
    assert set(arguments) <= set(parameters) - {"labels", "clip", "name"}
    return {
        name for name, p in parameters.items() if p.default is p.empty and name not in arguments
    }


def check_what_it_builds(found):
    missing = check_arguments(found.builder, found.arguments)
    if found.family == "grw":
        assert missing == {"window", "embed_dim", "depth", "heads", "mlp_dim", "labels"}
        backbone = dict(found.arguments["backbone"])
        assert not check_arguments(backbone.pop("builder"), backbone)
        assert backbone["causal"] == (found.filename[2] == "s")
    else:
        assert not missing
        assert found.builder == found.family
    variant = found.arguments.get("backbone", found.arguments).get("variant", "a0")
    assert variant in ARCHITECTURES and f"_{variant}" in found.name + "_a0"
    if depth := found.arguments.get("depth"):
        assert f"_{depth}" in found.name
    assert found.layout in LAYOUTS and found.container in ("torch", "caffe2", "tensorflow")
    assert (found.container == "tensorflow") == (found.layout == "model_garden")
    Preset(
        found.builder, found.arguments, found.label_names, found.clip, name=found.name,
        data=found.data, license=found.license or "", accuracy=found.accuracy,
    )  # fmt: skip
    assert json.loads(json.dumps(found.arguments)) == found.arguments


def check_where_it_is(found):
    assert not (found.url and found.repo) and bool(found.repo) == bool(found.filename)
    if not found.published:
        assert found.family == "resnet3d_rs" and "no address" in found.notes
    if found.url:
        assert re.fullmatch(r"https://[\w.-]+(/[\w.-]+)+", found.url)
        ending = {"tensorflow": ".tar.gz", "caffe2": ".pkl"}.get(found.container, "")
        assert found.url.endswith(ending)
    if found.repo:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", found.repo)
    if found.sha256:
        assert re.fullmatch(r"[0-9a-f]{8,64}", found.sha256)
    if found.publisher == "MMAction2":
        assert found.url.endswith(f"-{found.sha256}.pth")
    if found.publisher.startswith("Atze00"):
        assert re.fullmatch(r"[0-9a-f]{40}", found.git_blob)
        assert re.search(r"/[0-9a-f]{40}/weights/", found.url)  # of a commit, not of a branch


def check_what_it_is_fed_with(found):
    clip, (_, height, width, _) = found.clip, found.clip.shape
    assert height == width and clip.fps and clip.pixel_range == (0, 1)
    assert clip.resize == (clip.resize[0],) * 2 if found.family == "grw" else clip.resize >= height
    assert (clip.mean is None) == (clip.std is None)
    assert (clip.mean is None) == (found.family in ("grw", "movinet", "resnet3d_rs"))
    assert found.channels in ("rgb", "bgr")
    assert clip.frames % found.arguments.get("alpha", 1) == 0
    if found.family == "movinet":
        ours = ARCHITECTURES[found.arguments["variant"]].clip
        assert (clip.frames, clip.fps, clip.size) == (ours.frames, ours.fps, ours.size)
    if match := re.search(r"_(\d+)x(\d+)", found.name):
        slow, every = map(int, match.groups())
        assert clip.frames == slow * found.arguments.get("alpha", 1)
        assert clip.fps == 30 * found.arguments.get("alpha", 1) / every


def check_what_is_said_of_it(found):
    assert 0 < found.accuracy["top1"] < found.accuracy.get("top5", 100) < 100.1
    assert set(found.accuracy) <= {"top1", "top5"}
    assert re.fullmatch(r"\d+ clips? x \d+ crops?", found.views)
    assert found.reported_by and found.publisher and str(found.classes) in found.data
    wanted = {"accuracy", "input"}
    wanted |= {"address"} if found.published else set()
    wanted |= {"labels"} if found.labels else set()
    wanted |= {"license"} if found.license else set()
    assert wanted <= set(found.references)
    assert all(address.startswith("https://") for address in found.references.values())
    assert found.license in ("Apache-2.0", "MIT", None)


def check_labels(found):
    names = found.label_names
    assert len(names) == len(set(names)) == found.classes
    assert (names[0] == "0") == (found.labels is None)


@pytest.mark.parametrize("found", PUBLISHED.values(), ids=PUBLISHED)
def test_every_row(found):
    check_what_it_builds(found)
    check_where_it_is(found)
    check_what_it_is_fed_with(found)
    check_what_is_said_of_it(found)
    check_labels(found)


def test_label_files():
    assert label_sets() == [f"kinetics{n}" for n in (400, 600, 700, 710)]
    note = (FOLDER / "README.md").read_text()
    for name in label_sets():
        names = read_labels(name)
        assert len(set(names)) == len(names) == int(name[-3:])
        assert all(x == x.strip() and x for x in names) and f"`{name}.txt`" in note
        if name != "kinetics710":
            assert list(names) == sorted(names)
    assert read_labels("kinetics400")[290] == "sharpening knives"
    with pytest.raises(ValueError, match="must be one of kinetics400, kinetics600"):
        read_labels("imagenet")


def test_causal_networks_name_their_gate():
    for found in PUBLISHED.values():
        if found.layout == "model_garden" and found.arguments.get("causal"):
            assert "clip(0.2 x + 0.5, 0, 1)" in found.notes


def test_looking_up():
    found = PUBLISHED["movinet_a0_stream"]
    assert found.url.endswith("/weights/modelA0_stream_statedict_v3") and found.arguments["causal"]
    assert PUBLISHED["movinet_a3_stream"].url.endswith("/movinet_a3_stream.tar.gz")
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.url = "elsewhere"
    with pytest.raises(ValueError, match="Did you mean: .*slowonly_50"):
        kv.zoo.info("slow_only_50")
