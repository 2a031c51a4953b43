"""What the package refuses, converts or survives: what would otherwise be a wrong number, or a crash."""
import copy
import io
import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

import imiad
from imiad import metrics
from conftest import SMALL

PICTURE = (np.add.outer(np.arange(64) * 3, np.arange(64)) % 256).astype(np.uint8)
COLOR = np.stack([PICTURE, 255 - PICTURE, PICTURE.T], -1)


# ---- handles ----

@pytest.mark.parametrize("ask", [copy.copy, copy.deepcopy, pickle.dumps])
def test_handles_are_not_copied(ask, fitted, dataset, split):
    for handle in (fitted, dataset, split, imiad.Metrics()):
        with pytest.raises(TypeError, match="save and load, or a detector's clone"):
            ask(handle)
    assert fitted.score(PICTURE).score == fitted.score(PICTURE).score


def test_representations_say_what_an_object_is(fitted, dataset, split):
    assert repr(fitted) == "<imiad.Detector patchcore>"
    assert repr(dataset) == f"<imiad.Dataset synthetic, {len(dataset)} images>"
    assert repr(split).startswith("<imiad.Split unsupervised of hex_nut, 4 to train")
    clone = fitted.clone()
    clone.close()
    assert repr(clone) == "<imiad.Detector closed>"


# ---- images ----

def test_bgr_holds_for_four_channels(fitted):
    rgba = np.dstack([COLOR, np.full((64, 64), 9, np.uint8)])
    expected = fitted.score(COLOR).score
    assert fitted.score(rgba).score == expected
    assert fitted.score(rgba[:, :, [2, 1, 0, 3]].copy(), bgr=True).score == expected
    assert fitted.score_batch([COLOR[:, :, ::-1]], bgr=True).scores[0] == expected
    assert fitted.score(rgba[:, :, [2, 1, 0, 3]].copy()).score != expected


@pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "HSV", "RGBA", "RGBX", "LA", "L", "1"])
def test_pillow_images_are_read_as_what_they_are(fitted, mode):
    image = Image.fromarray(COLOR).convert("L").convert("LA") if mode == "LA" else \
        Image.fromarray(COLOR).convert(mode)
    assert fitted.score(image).score == fitted.score(image.convert("RGB")).score


@pytest.mark.parametrize("mode", ["I", "F", "LAB", "I;16"])
def test_pillow_images_without_a_range_are_refused(fitted, mode):
    image = Image.new(mode, (64, 64))
    with pytest.raises(TypeError, match=f"mode {mode} has no bytes.*from_floats"):
        fitted.score(image)


def test_a_pillow_image_is_not_bgr(fitted):
    with pytest.raises(TypeError, match="bgr is for arrays"):
        fitted.score(Image.fromarray(COLOR), bgr=True)


def test_deep_arrays_keep_their_low_bytes(fitted, tmp_path):
    deep = PICTURE.astype(np.uint16) * 256
    other = deep + 255
    score = fitted.score(deep).score
    assert fitted.score(other).score != score == fitted.score(deep.astype(">u2")).score
    assert (fitted.preprocess(deep) == fitted.preprocess(other)).all()
    path = tmp_path / "deep.png"
    imiad.write_png(deep, path)
    assert fitted.score(path).score == fitted.score_batch([path]).scores[0] == score
    back = imiad.read_image(path, deep=True)
    assert back.dtype == np.uint16 and (back == deep).all() and imiad.read_image(path).dtype == np.uint8
    memory = imiad.dataset_from_images("deep", [(deep, 0, "train"), (other, 0, "test")])
    assert (memory.read_image(1, deep=True) == other).all()
    assert (memory.read_image(1) == PICTURE).all()


def test_deep_arrays_of_twelve_bits_are_told_and_stretched(fitted):
    deep = PICTURE.astype(np.uint16) * 16
    with pytest.warns(UserWarning, match="without any value above 4032"):
        fitted.score(deep)
    whole = imiad.stretch(deep, 0, 4095)
    assert whole.dtype == np.uint16 and whole.max() == round(4032 / 4095 * 65535)
    assert (imiad.from_floats(deep, 0, 4095, deep=True) == whole).all()
    assert [tile.shape for tile in imiad.tiles(whole, 32, 0)] == [(32, 32)] * 4
    assert imiad.resize(whole, 20, 10).dtype == np.uint16
    with pytest.raises(TypeError, match="uint16"):
        imiad.stretch(PICTURE, 0, 4095)
    with pytest.raises(TypeError, match="need a range"):
        imiad.from_floats(deep)
    with pytest.raises(TypeError, match="from_floats"):
        fitted.score(deep.astype(np.int32))
    assert imiad.from_floats(deep, 0, 4095).max() == 251


def test_files_in_memory_are_decoded():
    held = io.BytesIO()
    Image.fromarray(COLOR).save(held, "PNG")
    assert (imiad.decode_image(held.getvalue()) == COLOR).all()
    with pytest.raises(imiad.Error, match="an image in memory: it is no image"):
        imiad.decode_image(b"hello, world")


def test_a_range_is_stated_where_an_image_is_read(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.array([[0, 2047, 4095, 65535]], np.uint16)).save(path)
    assert imiad.read_image(path).tolist() == [[0, 7, 15, 255]]
    assert imiad.read_image(os.fsencode(path), high=4095).tolist() == [[0, 127, 255, 255]]


# ---- metrics ----

def test_a_channel_at_the_end_is_no_picture():
    mask = np.array([[[1, 0, 1], [1, 0, 0], [1, 0, 0]]], np.uint8)
    maps = np.array([[[9, 5, 1], [9, 4, 3], [9, 6, 2]]], np.float32)
    expected = metrics.aupro(mask, maps, limit=1.0)
    assert expected == metrics.aupro(mask[:, None], maps[:, None], limit=1.0)
    assert expected == metrics.aupro(mask[0], maps[0], limit=1.0)
    for change in (lambda a: a[..., None], lambda a: [b[..., None] for b in a], lambda a: a[0][..., None],
                   lambda a: a.ravel(), lambda a: a.ravel().tolist()):
        with pytest.raises(TypeError, match="an anomaly map is height x width"):
            metrics.aupro(change(mask), change(maps), limit=1.0)
        with pytest.raises(TypeError, match="an anomaly map is height x width"):
            metrics.aupro_sampled(change(mask), change(maps))


def test_labels_below_zero_and_nan_are_refused():
    scores = [.9, .2, .8, .1, .7]
    for ask in (metrics.average_precision, metrics.auroc, metrics.f1_max):
        with pytest.raises(imiad.Error, match="below zero"):
            ask([-1, -1, -1, 1, 1], scores)
        with pytest.raises(imiad.Error, match="NaN"):
            ask([0, 0, np.nan, 1, 1], scores)
    with pytest.raises(imiad.Error, match="-1"):
        imiad.Metrics().add_image(-1, .9)
    with pytest.raises(TypeError, match="a label is 0"):
        imiad.Metrics().add_image(float("nan"), .9)


# ---- words ----

def test_misspelt_words_are_told_with_those_that_there_are(fitted, split):
    with pytest.raises(ValueError, match="map_frame is 'img': it must be one of input, image"):
        fitted.score_batch([PICTURE], map_frame="img")
    with pytest.raises(ValueError, match="sensitivity is 'hihg': it must be one of"):
        fitted.verdict(1.0, "hihg")
    with pytest.raises(ValueError, match="size is 'natvie': it must be one of input, native"):
        imiad.evaluate(fitted, split, size="natvie")
    with pytest.raises(TypeError, match="pass result.score"):
        fitted.verdict(fitted.score(PICTURE))
    with pytest.raises(TypeError, match="tile_side is their side"):
        fitted.score_batch([PICTURE], tiles=128)
    with pytest.raises(TypeError, match="a list of images"):
        fitted.score_batch("a.png")


# ---- detectors ----

def test_one_neighbour_weighs_nothing(backbone, split):
    scores = {}
    for name, options in (("max", {}), ("one", {"image_score": "reweighted", "reweight_neighbours": 1})):
        detector = imiad.detectors.patchcore(backbone, **SMALL, **options).fit(split)
        scores[name] = detector.score(PICTURE).score
    # the maximum of the code is a squared distance, equation 7 weighs a distance
    assert scores["one"] ** 2 == pytest.approx(scores["max"], rel=1e-5) and scores["one"] > 1e-3


def test_a_bank_of_one_row_weighs_nothing(backbone, split):
    small = {**SMALL, "coreset_ratio": 0.005}  # of 256 patches
    plain = imiad.detectors.patchcore(backbone, **small).fit(split)
    weighed = imiad.detectors.patchcore(backbone, **small, image_score="reweighted").fit(split)
    assert len(plain.bank) == 1
    assert weighed.score(PICTURE).score ** 2 == pytest.approx(plain.score(PICTURE).score, rel=1e-5)


def test_a_group_scores_as_the_highest_of_its_images(fitted, tmp_path):
    random = np.random.default_rng(1)
    for path in ("train/good/0", "test/good/1/a", "test/good/1/b", "test/good/2/a", "test/dent/3/a", "test/dent/3/b",
                 "test/dent/2/b", "test/dent/4/a"):
        picture = tmp_path / f"{path}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        imiad.write_png(random.integers(0, 256, (64, 64), np.uint8), picture)
    parts = imiad.datasets.folder(tmp_path, test_good="test/good/{group}/*", test_defective="test/{kind}/{group}/*")
    found, groups = {}, imiad.Metrics()

    def remember(one):
        label, score = found.get(one.sample.path.split("/")[-2], (0, 0.0))
        found[one.sample.path.split("/")[-2]] = max(label, one.sample.label), max(score, one.score)

    images = imiad.evaluate(fitted, parts.split("all"), groups=groups, scored=remember)
    assert (images.counts.images, images.counts.defective_images) == (7, 4)
    assert (groups.counts.images, groups.counts.defective_images) == (4, 3)
    labels, scores = zip(*found.values())
    assert groups.image_auroc() == metrics.auroc(labels, scores)


def test_paths_that_are_no_utf8_are_saved(backbone, split, tmp_path):
    log = os.fsencode(tmp_path) + b"/loss-\xe9.csv"
    detector = imiad.detectors.stpm(backbone, **SMALL, epochs=1, loss_log=os.fsdecode(log)).fit(split)
    detector.calibrate([1.0, 2.0, 3.0], source=os.fsdecode(b"caf\xe9"))
    path = os.fsencode(tmp_path) + b"/d\xe9.imiad"
    detector.save(os.fsdecode(path))
    again = imiad.Detector.load(os.fsdecode(path))
    assert again.calibration.source == "caf\ufffd"
    assert again.score(PICTURE).score == detector.score(PICTURE).score


# ---- host programs ----

def run(words, **environment):
    """A Python of its own; what it prints."""
    environment = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(words)], env=environment, text=True,
                          capture_output=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_decimal_comma_of_the_host_changes_no_number(tmp_path):
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")], check=True)
    run(f"""
        import csv, locale, imiad
        locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
        assert locale.localeconv()["decimal_point"] == ","
        dataset = imiad.datasets.synthetic(size=64, train=4, test_good=3, test_defective=4)
        backbone = imiad.Backbone("resnet18")
        split = imiad.settings.noisy(dataset, "hex_nut", ratio=0.25)
        detector = imiad.detectors.patchcore(backbone, resize=64, crop=64)
        with imiad.Results(r"{tmp_path}/s.sqlite") as results:
            results.put(split, detector, {{"image_auroc": 0.75}})
            results.write_csv(r"{tmp_path}/s.csv")
            results.write_points(r"{tmp_path}/p.csv", ["image_auroc"])
        rows = list(csv.reader(open(r"{tmp_path}/s.csv")))
        assert len(rows[0]) == len(rows[1]) and "0.75" in rows[1], rows
        point = next(csv.DictReader(open(r"{tmp_path}/p.csv")))
        assert (point["number"], point["image_auroc"]) == ("0.25", "0.75"), point
        assert imiad.find_published("noisy", "mvtec_ad", "patchcore", "image_auroc", value="ratio=0.10")
        imiad.detectors.stpm(backbone, resize=64, crop=64, epochs=1,
                             loss_log=r"{tmp_path}/loss.csv").fit(dataset.split("hex_nut"))
        losses = list(csv.reader(open(r"{tmp_path}/loss.csv")))
        assert [len(row) for row in losses] == [3, 3], losses
        float(losses[1][2])
    """, LOCPATH=str(tmp_path))


FORKED = """
    import multiprocessing, numpy, sys, imiad
    imiad.set_threads({threads})
    dataset = imiad.datasets.synthetic(size=64, train=4)
    detector = imiad.detectors.patchcore(imiad.Backbone("resnet18"), resize=64, crop=64)
    detector.fit(dataset.split("hex_nut"))
    image = numpy.zeros((64, 64, 3), numpy.uint8)
    expected = detector.score(image).score
    def work(queue):
        try:
            queue.put(detector.score(image).score)
        except imiad.Error as problem:
            queue.put(str(problem))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=work, args=(queue,))
    child.start()
    found = queue.get(timeout=120)
    child.join()
    print(found == expected, found)
"""


def test_a_forked_child_fails_at_once_with_a_message():
    assert "forked from one that had used a detector" in run(FORKED.format(threads=2))


def test_a_forked_child_works_on_one_thread():
    assert run(FORKED.format(threads=1)).startswith("True")
