"""The command line: what it prints, what it writes, and how it ends."""

import json
import shutil

import pytest
import tiny

import keras_vidreg as kv
from keras_vidreg import cli, training
from keras_vidreg.zoo import _entry


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return tiny.make_videos(tmp_path_factory.mktemp("videos") / "all")


@pytest.fixture(autouse=True)
def tiny_recipe(monkeypatch):
    monkeypatch.setitem(training.RECIPES, "tiny_grw", tiny.recipe(epochs=2))


@pytest.fixture(scope="module")
def run(videos, tmp_path_factory):
    """Folder of a trained model."""
    out = tmp_path_factory.mktemp("run")
    source = kv.data.folder(videos)
    training.train(tiny.recipe(epochs=2), source, source, out=out, verbose=False)
    return out


def table(folder, videos):
    lines = ["path,label,split"]
    for i, file in enumerate(sorted(videos.glob("*/*.mkv"))):
        lines.append(f"{file},{file.parent.name},{('train', 'train', 'val', 'test')[i % 4]}")
    (folder / "split.csv").write_text("\n".join(lines) + "\n")
    return str(folder / "split.csv")


def fails(capsys, *arguments):
    """The single line that a failing command writes."""
    assert cli.main([str(a) for a in arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("keras-vidreg: error: ") and error.count("\n") == 1
    return error


def test_train_evaluate_classify(videos, tmp_path, capsys):
    data, out = table(tmp_path, videos), str(tmp_path / "run")
    command = ["train", "--recipe", "tiny_grw", "--data", data, "--out", out]
    options = ["--set", "grw.weight=0", "--set", "batch_size=2", "--seed", "3"]
    assert cli.main([*command, *options]) == 0
    log = json.loads((tmp_path / "run" / "training.json").read_text())
    assert log["seed"] == 3 and log["recipe"]["grw"]["weight"] == 0
    assert log["data"]["train"]["clips"] == 4 and log["data"]["validation"]["clips"] == 2
    assert "epoch 2/2" in capsys.readouterr().out

    report = tmp_path / "result.json"
    command = ["evaluate", "--model", out, "--data", data, "--views", "10x3", "--smoothness"]
    assert cli.main([*command, "--json", str(report)]) == 0
    printed = capsys.readouterr().out
    result = json.loads(report.read_text())
    assert f"{result['top1']:.2%}" in printed and "2 clips" in printed
    assert result["clips"] == 2 and result["smoothness"] > 0 and result["split"] == "test"
    assert result["views"] == "10x3"

    file = next(videos.glob("dark/*.mkv"))
    assert cli.main(["classify", str(file), "--model", out, "--top", "2"]) == 0
    printed = capsys.readouterr().out
    assert str(file) in printed and "dark" in printed and "light" in printed


def test_train_on_part_of_a_folder(videos, tmp_path):
    out = tmp_path / "run"
    command = ["train", "--recipe", "tiny_grw", "--data", str(videos), "--out", str(out)]
    assert (
        cli.main([*command, "--clips", "6", "--validation", "0.34", "--set", "batch_size=2"]) == 0
    )
    log = json.loads((out / "training.json").read_text())
    assert log["data"]["train"]["clips"] == 4 and log["data"]["validation"]["clips"] == 2
    assert cli.main([*command, "--clips", "4"]) == 1, "it is another run"
    assert cli.main([*command, "--clips", "4", "--restart"]) == 0
    assert "validation" not in json.loads((out / "training.json").read_text())["data"]


def test_sources(videos, tmp_path):
    (tmp_path / "set").mkdir()
    for split in ("train", "val"):
        (tmp_path / "set" / split).symlink_to(videos, target_is_directory=True)
    assert len(cli.open_source(str(tmp_path / "set"), "train")) == 8
    assert len(cli.open_source(str(videos), "test")) == 8
    data = table(tmp_path, videos)
    assert len(cli.open_source(data, "train")) == 4
    assert len(cli.open_source(data, "train", clips=2)) == 2
    with pytest.raises(ValueError, match="no data at 'nowhere'"):
        cli.open_source("nowhere", "train")


def test_errors_are_one_line(run, videos, tmp_path, capsys):
    train = ("train", "--data", videos, "--out", tmp_path / "x")
    assert "no recipe 'tiny'" in fails(capsys, *train, "--recipe", "tiny")
    assert "'wait'" in fails(capsys, *train, "--recipe", "tiny_grw", "--set", "grw.wait=1")
    assert "no zoo entry" in fails(capsys, "evaluate", "--model", "none", "--data", videos)
    assert "no data at" in fails(capsys, "evaluate", "--model", run, "--data", "nowhere")
    assert "no zoo entry" in fails(capsys, "zoo", "show", "none")
    assert not (tmp_path / "x").exists()


def test_a_broken_file_does_not_stop_the_others(run, videos, tmp_path, capsys):
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no video")
    good = next(videos.glob("light/*.mkv"))
    assert cli.main(["classify", str(broken), str(good), "--model", str(run)]) == 1
    printed = capsys.readouterr()
    assert "broken.mkv" in printed.err and printed.err.count("\n") == 1
    assert "light" in printed.out


@pytest.mark.parametrize(
    "arguments",
    [[], ["zoo"], ["classify", "x.mp4"], ["classify", "x.mp4", "--model", "m", "--top", "0"]],
)
def test_wrong_usage_is_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2 and "usage:" in capsys.readouterr().err


def test_interrupt_is_tidy(monkeypatch, videos, tmp_path, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupted)
    command = ["train", "--recipe", "tiny_grw", "--data", str(videos), "--out", str(tmp_path)]
    assert cli.main(command) == 130
    assert "Stopped" in capsys.readouterr().err


def test_zoo_list_and_show(run, monkeypatch, tmp_path, capsys):
    (tmp_path / "tiny_entry").symlink_to(run, target_is_directory=True)
    monkeypatch.setattr(_entry, "root", lambda: tmp_path)
    assert cli.main(["zoo", "list"]) == 0
    assert "tiny_entry" in capsys.readouterr().out
    assert "no card" in fails(capsys, "zoo", "show", "tiny_entry")
    (run / "card.md").write_text("# tiny_entry\n")
    assert cli.main(["zoo", "show", "tiny_entry"]) == 0
    assert "# tiny_entry" in capsys.readouterr().out


def test_names_from_outside_are_text(run, videos, tmp_path, capsys, monkeypatch):
    odd = tmp_path / "take[final]\x1b[31m.mkv"
    odd.write_bytes(next(videos.glob("dark/*.mkv")).read_bytes())
    names = ("[/x]", "\x1b]0;owned\x07")
    monkeypatch.setattr(kv.models.VideoClassifier, "labels", names)
    assert cli.main(["classify", str(odd), "--model", str(run)]) == 0
    printed = capsys.readouterr().out
    assert "take[final]\\x1b[31m.mkv" in printed and "[/x]" in printed
    assert r"\x1b]0;owned\x07" in printed and "\x1b" not in printed

    assert cli.main(["classify", str(tmp_path / "no\x1b[2Jfile"), "--model", str(run)]) == 1
    error = capsys.readouterr().err
    assert r"no\x1b[2Jfile" in error and "\x1b" not in error


def test_a_card_cannot_command_the_terminal(run, monkeypatch, tmp_path, capsys):
    entry = tmp_path / "evil"
    shutil.copytree(run, entry)
    (entry / "card.md").write_text("# evil\n\x1b[2J\x1b]52;c;cm0gLXJm\x07 hidden\n")
    monkeypatch.setattr(_entry, "root", lambda: tmp_path)
    assert cli.main(["zoo", "show", "evil"]) == 0
    printed = capsys.readouterr().out
    assert "# evil\n" in printed and r"\x1b[2J" in printed and "\x1b" not in printed
