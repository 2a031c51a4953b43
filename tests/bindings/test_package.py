"""The package as its users meet it, on procedural data and random weights."""
import ctypes
import gc
import inspect
import logging
import os
import signal
import threading

import numpy as np
import pytest

import imiad
from conftest import SMALL, TINY


# ---- data ----

def test_a_dataset_lists_its_samples(dataset):
    assert "hex_nut" in dataset.categories and dataset.name == "synthetic" and dataset.root == ""
    assert dataset.option("size") == "64" and dataset.option("nothing") is None
    info = dataset.category_info("hex_nut")
    assert (info.train_good, info.test_good, info.test_defective) == (4, 3, 4)
    assert len(dataset) == 11 * len(dataset.categories) == len(list(dataset))
    first, last = dataset[0], dataset[-1]
    assert (first.subset, first.label, first.index) == ("train", 0, 0)
    assert (last.subset, last.label, last.index) == ("test", 1, len(dataset) - 1)
    with pytest.raises(IndexError):
        dataset[len(dataset)]
    assert len(dataset.digest) == 64


def test_images_and_masks_are_arrays_of_bytes(dataset, split):
    defective = next(i for i in split.test if dataset[i].label)
    image, mask = dataset.read_image(defective), dataset.read_mask(defective)
    assert image.shape == (64, 64, 3) and image.dtype == np.uint8
    assert mask.shape == (64, 64) and set(np.unique(mask)) == {0, 255}
    assert dataset.image_size(defective) == (64, 64)
    assert dataset.mask_channels(defective) in (0, 1)


def test_an_array_owns_the_pixels_that_it_shows(dataset):
    image = dataset.read_image(0)
    part = image[10:20]
    copy = part.copy()
    del image
    gc.collect()
    assert (part == copy).all()


def test_a_split_says_what_trains_and_what_tests(dataset, split):
    assert (split.category, split.setting) == ("hex_nut", "unsupervised")
    assert [dataset[i].subset for i in split.train] == ["train"] * 4 and len(split.test) == 7
    assert split.train_labels == [0] * 4 and split.train_roles == ["train"] * 4
    noisy = imiad.settings.noisy(dataset, "hex_nut", ratio=0.5, seed=3)
    assert noisy.drawn_count == 2 and noisy.drawn_ratio == 0.5 and noisy.option("seed") == "3"
    assert sorted(set(noisy.train_roles)) == ["train", "train_noise"]
    shots = dataset.split("hex_nut", "fewshot", shots=1, augmentation="rotation")
    assert shots.train_augmentations == ["", "rotation 72", "rotation 144", "rotation 216",
                                         "rotation 288"]


def test_splits_are_joined(dataset, split):
    other = dataset.split("fabric")
    joined = imiad.Split.join([split, other])
    assert joined.train == split.train + other.train and joined.test == split.test + other.test
    elsewhere = imiad.Dataset("synthetic", **TINY).split("fabric")
    with pytest.raises(imiad.Error, match="another dataset") as caught:
        imiad.Split.join([split, elsewhere])
    assert caught.value.status == imiad.Status.INVALID_ARGUMENT


def test_selection_files_repeat_a_split(dataset, tmp_path):
    drawn = dataset.split("hex_nut", "noisy", ratio=0.5)
    drawn.write(tmp_path / "selection")
    again = dataset.read_split(tmp_path / "selection")
    assert (again.train, again.test, again.setting) == (drawn.train, drawn.test, "noisy")


def test_a_split_keeps_its_dataset_alive():
    with imiad.Dataset("synthetic", **TINY) as dataset:
        split = dataset.split("fabric")
    assert len(split.test) == 7
    with pytest.raises(ctypes.ArgumentError, match="this Dataset is closed"):
        dataset.categories


def test_a_dataset_of_files(dataset, tmp_path):
    dataset.export(tmp_path / "tree")
    files = imiad.datasets.mvtec_ad(tmp_path / "tree", categories=["fabric", "hex_nut"])
    assert files.categories == ["fabric", "hex_nut"] and files.root == str(tmp_path / "tree")
    path = tmp_path / "tree" / files[0].path
    assert (imiad.read_image(path) == files.read_image(0)).all()
    with pytest.raises(imiad.Error) as caught:
        files.official_counts("fabric")
    assert caught.value.status == imiad.Status.NOT_FOUND
    assert "bottle" in files.official_categories


# ---- options ----

def test_callables_carry_the_schema():
    signature = inspect.signature(imiad.detectors.patchcore)
    assert signature.parameters["coreset_ratio"].default == 0.1
    assert signature.parameters["sampler"].annotation is str
    assert "greedy coreset" in imiad.detectors.patchcore.__doc__
    assert {"patchcore", "padim"} <= set(imiad.detectors.names()) & set(dir(imiad.detectors))
    assert "mvtec_ad" in imiad.datasets.names() and "noisy" in imiad.settings.names()
    with pytest.raises(AttributeError, match="detectors are .*patchcore"):
        imiad.detectors.patchcor


def test_options_are_checked_by_the_library(backbone):
    for options, status, words in [({"coreset_ratio": 2}, "OUT_OF_RANGE", "0<..1"),
                                   ({"coreset_ration": 1}, "UNKNOWN_OPTION", "coreset_ration")]:
        with pytest.raises(imiad.Error) as caught:
            imiad.Detector("patchcore", backbone, **options)
        assert caught.value.status == imiad.Status[status]
        assert words in caught.value.message and status in str(caught.value)
    with pytest.raises(imiad.Error, match="patchcor"):
        imiad.Detector("patchcor", backbone)


def test_values_are_written_as_the_library_reads_them(dataset):
    split = dataset.split("hex_nut", "noisy", ratio=0.25, overlap=True)
    assert (split.option("ratio"), split.option("overlap")) == ("0.25", "true")


# ---- models ----

def test_the_default_weights_are_asked_for(monkeypatch, tmp_path, backbone):
    """The file itself is nobody's to commit: tests/nn/test_default_weights.c has one that stands in for it."""
    monkeypatch.setenv("IMIAD_WEIGHTS", str(tmp_path / "weights.pth"))
    with pytest.raises(imiad.Error, match="default weights: there is no file .*weights.pth") as caught:
        imiad.Backbone.default()
    assert caught.value.status == imiad.Status.NOT_FOUND
    assert backbone.provenance == ""


def test_a_backbone_gives_features(backbone):
    assert "wide_resnet50_2" in imiad.architectures()
    assert backbone.name == "resnet18" and "random" in backbone.weights and backbone.digest == ""
    assert (backbone.device, backbone.precision) == ("cpu", "float32")
    images = np.random.default_rng(0).standard_normal((2, 3, 64, 96))  # float64 is converted
    features = backbone.features("layer2", images)
    assert features.shape == (2, *backbone.shape("layer2", 64, 96)) == (2, 128, 8, 12)
    alone = backbone.features("layer2", images[1:])
    np.testing.assert_allclose(features[1:], alone, rtol=1e-4, atol=1e-5)
    with pytest.raises(imiad.Error, match="layer9"):
        backbone.features("layer9", images)
    with pytest.raises(TypeError, match="count x 3"):
        backbone.features("layer2", images[0])


def test_a_bank_searches_exactly(tmp_path):
    rows = np.random.default_rng(1).standard_normal((200, 16)).astype(np.float32)
    bank = imiad.Bank(16)
    bank.add(rows[:50])
    bank.add(rows[50:])
    assert (bank.rows == rows).all() and len(bank) == 200 and bank.dimension == 16
    distances, indices = bank.search(rows[:5] + 0.01, 3)
    true = ((rows[None] - (rows[:5] + 0.01)[:, None]) ** 2).sum(2)
    assert (indices == np.argsort(true, 1, kind="stable")[:, :3]).all()
    np.testing.assert_allclose(distances, np.sort(true, 1)[:, :3], rtol=1e-5)
    picks = bank.select(0.1, seed=4)
    assert len(set(picks)) == 20
    bank.keep(picks)
    bank.save(tmp_path / "bank")
    assert (imiad.Bank.load(tmp_path / "bank").rows == rows[picks]).all()
    with pytest.raises(imiad.Error):
        bank.search(rows[:1], 1000)
    with pytest.raises(TypeError, match="count x 16"):
        bank.add(rows[:, :4])


def test_a_narrow_bank_stores_rounded_rows():
    """float16 as NumPy rounds to it; bfloat16 is the upper half of a float32."""
    rows = np.random.default_rng(2).standard_normal((40, 8)).astype(np.float32)
    with imiad.Bank(8, storage="float16") as bank:
        bank.add(rows)
        assert bank.storage == "float16" and (bank.rows == rows.astype(np.float16)).all()
        assert (bank.read(5, 3) == bank.rows[5:8]).all()
        with pytest.raises(imiad.Error) as caught:
            bank.read(39, 2)
        assert caught.value.status == imiad.Status.OUT_OF_RANGE
        with pytest.raises(imiad.Error, match="row"):
            bank.add(np.full((1, 8), 1e6))  # above 65504
    with imiad.Bank(8, storage="bfloat16") as bank:
        bank.add(rows)
        assert not (bank.rows.view(np.uint32) & 0xffff).any()
    with pytest.raises(KeyError):
        imiad.Bank(8, storage="int4")


def test_a_bank_knows_and_forgets_sources():
    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    bank = imiad.Bank(2)
    bank.add(rows[:1])
    assert bank.sources is None and bank.forget(7) == 0
    bank.add(rows[1:4], [7, 8, 7])
    bank.add(rows[4:], 9)
    assert bank.sources.tolist() == [bank.NO_SOURCE, 7, 8, 7, 9, 9]
    assert bank.forget(7) == 2 and bank.sources.tolist() == [bank.NO_SOURCE, 8, 9, 9]
    assert bank.forget() == 1 and (bank.rows == rows[[2, 4, 5]]).all()
    with pytest.raises(TypeError, match="2 rows need one source or one each"):
        bank.add(rows[:2], [1, 2, 3])


def test_a_stream_makes_a_bank_of_bounded_size():
    rows = np.random.default_rng(5).standard_normal((500, 4)).astype(np.float32)
    with imiad.BankStream(4, rows=20, block_rows=64) as stream:
        stream.add(rows[:10], 3)
        first = stream.bank()
        assert (first.rows == rows[:10]).all() and first.sources.tolist() == [3] * 10
        for at in range(10, 500, 70):
            stream.add(rows[at:at + 70])
        bank = stream.bank()
        assert len(stream) == 500 and len(bank) == 20 and bank.dimension == 4
        assert {row.tobytes() for row in bank.rows} <= {row.tobytes() for row in rows}
        with pytest.raises(TypeError, match="count x 4"):
            stream.add(rows[:, :2])
        with pytest.raises(TypeError, match="2 rows need one source or one each"):
            stream.add(rows[:2], [1, 2, 3])
    needed = imiad.BankStream.estimate(500, 4, rows=20, block_rows=64)
    with pytest.raises(imiad.Error) as caught:
        imiad.BankStream(4, rows=20, block_rows=64, budget_bytes=needed - 1).add(rows)
    assert caught.value.status == imiad.Status.OVER_BUDGET


def test_banks_merge_and_have_a_digest():
    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    whole, first, second = imiad.Bank(2), imiad.Bank(2), imiad.Bank(2)
    whole.add(rows, [1, 1, 1, 2, 2, 2])
    first.add(rows[:3], 1)
    second.add(rows[3:], 2)
    assert len(whole.digest) == 64 and first.digest != whole.digest
    first.merge(second)
    assert (first.rows == rows).all() and first.digest == whole.digest
    with pytest.raises(imiad.Error) as caught:
        first.merge(imiad.Bank(3))
    assert caught.value.status == imiad.Status.MISMATCH


def test_a_bank_is_recompressed_to_bounds():
    rows = np.random.default_rng(3).standard_normal((60, 4)).astype(np.float32)
    bank = imiad.Bank(4)
    bank.add(rows)
    picks = bank.select(rows=10, exact=True, projection=0)
    assert len(picks) == 10 and len(set(bank.select(rows=10, method="random", seed=5))) == 10
    with pytest.raises(imiad.Error) as caught:
        bank.select(rows=61)
    assert caught.value.status == imiad.Status.OUT_OF_RANGE
    stages = []
    bank.recompress(storage="float16", rows=10, exact=True, projection=0,
                    progress=lambda stage, done, total: stages.append(stage))
    assert bank.storage == "float16" and (bank.rows == rows[picks].astype(np.float16)).all() and stages
    bank.recompress(bytes=5 * 4 * 2)
    assert len(bank) == 5


def test_what_a_bank_needs_is_known_before():
    """rows x columns x 4 bytes, and 8 for each source."""
    needs = imiad.Bank.estimate(1000, 16, sources=True, ratio=0.1, exact=True, projection=0)
    assert needs.bank == 1000 * (16 * 4 + 8) and needs.coreset == 100 * (16 * 4 + 8)
    assert needs.peak == max(needs.bank + needs.selection, needs.bank + needs.coreset,
                             needs.coreset + needs.index)
    assert imiad.Bank.estimate(1000, 16, storage="float16").bank == 1000 * 16 * 2
    bank = imiad.Bank(16)
    bank.add(np.zeros((10, 16)))
    with pytest.raises(imiad.Error) as caught:
        bank.set_budget(10 * 16 * 4 - 1)
    assert caught.value.status == imiad.Status.OVER_BUDGET


def test_a_mapped_bank_and_a_device_search_the_same(tmp_path):
    rows = np.random.default_rng(4).standard_normal((300, 16)).astype(np.float32)
    bank = imiad.Bank(16)
    bank.add(rows)
    bank.save(tmp_path / "bank")
    expected, seen = bank.search(rows[:50] + 0.1, 2), []
    for mapped in (imiad.Bank.map(tmp_path / "bank"), imiad.Bank.map(tmp_path / "bank", verify=False)):
        assert mapped.digest == bank.digest
        for found in (mapped.search(rows[:50] + 0.1, 2), mapped.search(rows[:50] + 0.1, 2, device="cpu")):
            assert all((one == other).all() for one, other in zip(found, expected))
    bank.search(rows, 2, progress=lambda stage, done, total: seen.append((stage, total)))
    assert set(seen) == {("search", 300)}

    def stop(stage, done, total):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        bank.search(rows, 2, progress=stop)
    with pytest.raises(TypeError, match="reports no progress"):
        bank.search(rows, device="cpu", progress=stop)


def test_a_detector_forgets_an_image(backbone, split):
    with imiad.detectors.patchcore(backbone, coreset_ratio=0.5, **SMALL).fit(split) as detector:
        rows, sources = len(detector.bank), detector.bank_sources
        assert sources.shape == (rows,) and set(sources) == {0, 1, 2, 3}
        removed = detector.forget(1)
        assert 0 < removed < rows and len(detector.bank) == rows - removed and detector.forget(1) == 0
        assert detector.bank_sources.tolist() == sources[sources != 1].tolist()
        with pytest.raises(imiad.Error) as caught:
            detector.forget(4)
        assert caught.value.status == imiad.Status.OUT_OF_RANGE


def test_fit_score_save_load(fitted, dataset, split, tmp_path):
    image = dataset.read_image(split.test[0])
    result = fitted.score(image)
    assert result.map.shape == (64, 64) and result.map.dtype == np.float32
    fitted.save(tmp_path / "nut.imiad")
    again = imiad.Detector.load(tmp_path / "nut.imiad").score(image)
    assert again.score == result.score and (again.map == result.map).all()
    fitted.save_learning(tmp_path / "learning.imiad")
    assert imiad.Detector.load(tmp_path / "learning.imiad").kept_bytes == fitted.kept_bytes > fitted.bank.nbytes
    assert fitted.bank.shape[1] == 1024 and fitted.timings.images > 0
    assert fitted.name == "patchcore" and fitted.option("crop") == "64"
    with imiad.Bank(3) as bank:
        bank.add(np.zeros((1, 3)))


def test_images_come_in_many_forms(fitted, dataset, split, tmp_path):
    image = dataset.read_image(split.test[0])
    imiad.write_png(image, tmp_path / "image.png")
    score = fitted.score(image).score
    wide = np.zeros((64, 80, 3), np.uint8)
    wide[:, :64] = image
    for form in (tmp_path / "image.png", str(tmp_path / "image.png"), wide[:, :64], np.asfortranarray(image),
                 image[::-1].copy()[::-1], np.dstack([image, image[:, :, :1]])):
        assert fitted.score(form).score == score
    assert fitted.score(image[:, :, ::-1], bgr=True).score == score
    assert (fitted.preprocess(image) == image).all()
    with pytest.raises(TypeError, match="uint8"):
        fitted.score(image / 255)
    with pytest.raises(TypeError, match="uint8"):
        fitted.score(image[0, 0])


def test_a_batch_is_its_images_one_by_one(fitted, dataset, split):
    images = [dataset.read_image(i) for i in split.test[:3]]
    alone = [fitted.score(image) for image in images]
    batch = fitted.score_batch(images)
    np.testing.assert_allclose(batch.scores, [one.score for one in alone], rtol=1e-5)
    for map, one in zip(batch.maps, alone):
        np.testing.assert_allclose(map, one.map, rtol=1e-4, atol=1e-4)
    assert fitted.score_batch(images, maps=False).maps == [] and len(fitted.score_batch([]).scores) == 0
    wide = imiad.resize(images[0], 150, 100)
    whole, = fitted.score_batch([wide], map_frame="image").maps
    assert whole.shape == (100, 150)
    region = np.zeros((64, 64), bool)
    region[16:32, 16:48] = True
    looked = fitted.score_batch(images[:2], regions=[region, None])
    assert looked.scores[0] == looked.maps[0][region].max() <= batch.maps[0].max() * 1.0001
    tiled = fitted.score_batch([wide], tiles=True)
    assert tiled.maps[0].shape == (100, 150)
    with pytest.raises(TypeError, match="1 regions for 2 images"):
        fitted.score_batch(images[:2], regions=[region])


def test_tiles_are_views_that_cover_an_image():
    image = np.arange(100 * 150 * 3, dtype=np.uint8).reshape(100, 150, 3)
    squares = imiad.tiles(image, 64)
    assert len(squares) == 6 and all(square.shape == (64, 64, 3) for square in squares)
    assert (squares[0] == image[:64, :64]).all() and (squares[-1] == image[-64:, -64:]).all()
    squares[0][0, 0] = 77
    assert (image[0, 0] == 77).all()


def test_floats_become_bytes():
    """0, 1/2, 1 of the range: 0, 127.5 rounded, 255; strides of every kind."""
    frame = np.array([[0, 2048, 4096]], np.uint16)
    assert imiad.from_floats(frame, 0, 4096).tolist() == [[0, 128, 255]]
    planes = np.random.default_rng(0).random((3, 5, 7)).astype(np.float32)
    image = imiad.from_floats(planes.transpose(1, 2, 0)[::-1])
    assert (image == np.floor(planes.transpose(1, 2, 0)[::-1] * np.float32(255) + 0.5)).all()


def test_clones_score_in_threads(fitted, dataset, split):
    images = [dataset.read_image(i) for i in split.test]
    expected, found = [fitted.score(image).score for image in images], {}

    def work(name, clone):
        found[name] = [clone.score(image).score for image in images]
    clones = [fitted.clone() for _ in range(3)]
    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(clones)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [expected] * 3


def test_fitting_from_images_is_fitting_from_their_split(fitted, backbone, dataset, split):
    images = [dataset.read_image(i) for i in split.train]
    with imiad.detectors.patchcore(backbone, **SMALL) as detector:
        detector.fit(images)
        assert (detector.bank == fitted.bank).all()


def test_an_unfitted_detector_says_so(backbone, dataset):
    detector = imiad.detectors.patchcore(backbone)
    for name in ("bank", "bank_sources"):
        with pytest.raises(imiad.Error) as caught:
            getattr(detector, name)
        assert caught.value.status == imiad.Status.WRONG_STATE
    with pytest.raises(imiad.Error) as caught:
        imiad.detectors.padim(backbone).score(dataset.read_image(0))
    assert caught.value.status == imiad.Status.WRONG_STATE


def test_thresholds_come_from_images_that_were_not_fitted(backbone, dataset, split, tmp_path):
    detector = imiad.detectors.patchcore(backbone, **SMALL).fit_calibrated(split, share=0.5)
    found = detector.calibration
    assert found.rule == "quantile" and found.normal_count == 2 and found.quantile == 0.99
    assert found.high_threshold <= found.threshold <= found.low_threshold
    assert detector.verdict(found.threshold * 1.01) and not detector.verdict(found.threshold * 0.99)
    assert detector.calibrated_score(np.float32(found.threshold)) == pytest.approx(0.5, abs=1e-3)
    detector.save(tmp_path / "d")
    assert imiad.Detector.load(tmp_path / "d").calibration == found
    scores, labels = [1, 2, 3, 8, 9], [0, 0, 0, 1, 1]
    detector.calibrate(scores, labels, source="five scores", rule="f1_max")
    assert detector.calibration.threshold == 5.5 and detector.calibration.source == "five scores"
    detector.calibration = found._replace(threshold=7.0, source="by hand", low_threshold=7.5,
                                              high_threshold=6.5)
    assert detector.verdict(7.25) and not detector.verdict(7.25, "low")
    with pytest.raises(TypeError, match="each score"):
        detector.calibrate(scores, [0])
    with pytest.raises(imiad.Error) as caught:
        imiad.detectors.patchcore(backbone, **SMALL).fit(split).calibration
    assert caught.value.status == imiad.Status.WRONG_STATE


def test_regions_by_hand():
    """Two pixels beside each other, and one that touches them at a corner."""
    map = np.zeros((4, 5), np.float32)
    map[1, 1:3], map[2, 3] = (2, 4), 3
    region, = imiad.find_regions(map, 1)
    assert (region.left, region.top, region.width, region.height, region.area) == (1, 1, 3, 2, 3)
    assert (region.peak, region.peak_x, region.peak_y, region.mean) == (4, 2, 1, 3)
    first, second = imiad.find_regions(map, 1, connectivity=4)
    assert first.contour.tolist() == [[1, 1], [3, 1], [3, 2], [1, 2]] and second.area == 1
    assert len(imiad.find_regions(map, 1, connectivity=4, min_area=2)) == 1
    assert imiad.find_regions(map, 4) == []


# ---- callbacks ----

def test_progress_tells_the_stages(backbone, split):
    seen = []
    imiad.detectors.patchcore(backbone, **SMALL).fit(split, lambda *at: seen.append(at))
    assert {stage for stage, _, _ in seen} == {"features", "coreset"}
    assert all(done <= total for _, done, total in seen)


def test_an_exception_in_a_callback_reaches_the_caller(backbone, split):
    def stop(stage, done, total):
        raise RuntimeError("enough")
    detector = imiad.detectors.patchcore(backbone, **SMALL)
    with pytest.raises(RuntimeError, match="enough"):
        detector.fit(split, stop)
    detector.fit(split)  # usable all the same


def test_an_interrupt_stops_a_fit(backbone, split):
    def interrupt(stage, done, total):
        os.kill(os.getpid(), signal.SIGINT)
    detector = imiad.detectors.patchcore(backbone, **SMALL)
    with pytest.raises(KeyboardInterrupt):
        detector.fit(split, interrupt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_messages_go_to_logging(tmp_path, dataset, caplog):
    dataset.export(tmp_path / "tree")
    (tmp_path / "tree" / "fabric" / "train" / "good" / "notes.txt").write_text("no image")
    with caplog.at_level(logging.DEBUG, "imiad"):
        imiad.set_log(logging.getLogger("imiad").log)
        imiad.datasets.mvtec_ad(tmp_path / "tree")
        imiad.set_log(None)
    assert "notes.txt" in caplog.text


# ---- protocols, pictures, results ----

def test_evaluation_shows_every_image_and_measures(fitted, dataset, split):
    seen = []

    def look(one):
        seen.append((one, one.map, one.mask))
    metrics = imiad.evaluate(fitted, split, scored=look)
    assert [one.sample.index for one, _, _ in seen] == split.test
    labels = [one.sample.label for one, _, _ in seen]
    assert metrics.image_auroc() == imiad.metrics.auroc(labels, [one.score for one, _, _ in seen])
    maps, masks = np.stack([m for _, m, _ in seen]), np.stack([m for _, _, m in seen])
    assert metrics.aupro() == imiad.metrics.aupro(masks, maps)
    one = seen[0][0]
    assert one.map is seen[0][1]
    with pytest.raises(ValueError, match="image is gone"):
        one.image
    assert metrics.counts.images == 7 and metrics.summary()["pixel_ap"] == metrics.pixel_ap()
    again = imiad.evaluate(fitted, split, metrics=imiad.Metrics(connectivity=4), size=32)
    assert again.counts.normal_pixels + again.counts.defective_pixels == 7 * 32 * 32
    with pytest.raises(ZeroDivisionError):
        imiad.evaluate(fitted, split, scored=lambda one: 1 / 0)


def test_evaluation_needs_no_open_dataset(fitted, dataset):
    with imiad.Dataset("synthetic", **TINY) as own:
        split = own.split("hex_nut")
    seen = []
    imiad.evaluate(fitted, split, scored=seen.append)
    assert [one.sample for one in seen] == [dataset[i] for i in split.test]


def test_heat_maps_and_resizing(fitted, dataset, split, tmp_path):
    image = dataset.read_image(split.test[-1])
    result = fitted.score(image)
    picture = imiad.draw_heatmap(image, result.map, title="nut", mask=dataset.read_mask(split.test[-1]))
    assert picture.ndim == 3 and picture.shape[2] == 3 and picture.shape[1] > 2 * 64
    imiad.write_png(picture, tmp_path / "deep" / "picture.png")
    assert (imiad.read_image(tmp_path / "deep" / "picture.png") == picture).all()
    assert imiad.resize(image, 32, 16).shape == (16, 32, 3)
    with pytest.raises(imiad.Error, match="nowhere.png"):
        imiad.read_image(tmp_path / "nowhere.png")


def test_results_are_kept_and_summed_up(fitted, split, tmp_path):
    with imiad.Results(tmp_path / "results.sqlite") as results:
        for seed, auroc in enumerate([0.5, 0.75]):
            assert not results.has(split, fitted, seed=seed)
            results.put(split, fitted, {"image_auroc": auroc, "aupro": None}, seed=seed,
                        facts={"operator": "me"})
            assert results.has(split, fitted, seed=seed)
        cell = results.cells(detector="patchcore")[1]
        assert cell.values["image_auroc"] == 0.75 and np.isnan(cell.values["aupro"])
        assert cell.seed == 1 and cell.options["crop"] == "64" and cell.facts == {"operator": "me"}
        mean = next(s for s in results.summaries() if s.name == "image_auroc" and s.category == "hex_nut")
        assert (mean.mean, mean.runs) == (0.625, 2) and abs(mean.deviation - 0.125 * 2 ** 0.5) < 1e-15
        assert results.cells(detector="padim") == []
        results.write_csv(tmp_path / "r.csv")
        results.write_json(tmp_path / "r.json")
        results.write_summary(tmp_path / "s.csv")
        results.write_points(tmp_path / "p.csv", ["image_auroc"])
        results.write_report(tmp_path / "r.html", title="Mine", command="make it", detector="patchcore")
        assert "0.75" in (tmp_path / "r.csv").read_text() and "0.625" in (tmp_path / "p.csv").read_text()
        with pytest.raises(TypeError, match="colour"):
            results.cells(colour="red")
    with pytest.raises(imiad.Error):
        imiad.Results(tmp_path / "nowhere.sqlite", read_only=True)


def test_failures_merging_and_evidence(fitted, split, tmp_path):
    with imiad.Results(tmp_path / "one.sqlite") as one, imiad.Results(tmp_path / "two.sqlite") as two:
        one.put(split, fitted, {"image_auroc": 0.5}, evidence={"scores": "[[1,0.5]]"})
        one.put_failure(split, fitted, "it went wrong", seed=1, command="try it")
        two.put(split, fitted, {"image_auroc": 0.25})
        (failure,) = one.failures(category="hex_nut")
        assert (failure.message, failure.seed, failure.command) == ("it went wrong", 1, "try it")
        with pytest.raises(imiad.Error, match="image_auroc"):
            two.merge(tmp_path / "one.sqlite")
        assert two.failures() == []
        seen = []
        two.merge(tmp_path / "one.sqlite", on_conflict=lambda *conflict: seen.append(conflict))
        ((kept, brought, path, name),) = seen
        assert (kept.values[name], brought.values[name], path) == (0.25, 0.5, str(tmp_path / "one.sqlite"))
        assert brought.evidence == {"scores": "[[1,0.5]]"} and len(two.failures()) == 1
        with pytest.raises(ZeroDivisionError):
            two.merge(tmp_path / "one.sqlite", on_conflict=lambda *conflict: 1 / 0)


def test_results_as_an_array(fitted, split, tmp_path):
    with imiad.Results(tmp_path / "results.sqlite") as results:
        assert len(results.array()) == 0
        results.put(split, fitted, {"image_auroc": 0.5, "aupro": None})
        results.put(split, fitted, {"image_auroc": 0.75, "fit_seconds": 2}, seed=7)
        table = results.array()
        assert table["seed"].tolist() == [0, 7] and table["category"].tolist() == ["hex_nut"] * 2
        assert table["image_auroc"].mean() == 0.625 and np.isnan(table["aupro"]).all()
        assert np.isnan(table["fit_seconds"][0]) and table["fit_seconds"][1] == 2
        assert len(results.array(detector="padim")) == 0
        try:
            import pandas
        except ImportError:
            with pytest.raises(ImportError, match="pandas"):
                results.frame()
        else:
            frame = results.frame()
            assert isinstance(frame, pandas.DataFrame) and frame["image_auroc"].mean() == 0.625


def test_a_report_is_written_by_the_end_of_its_name(fitted, split, tmp_path):
    with imiad.Results(tmp_path / "results.sqlite") as results:
        results.put(split, fitted, {"image_auroc": 0.7125}, seed=3)
        imiad.report(results, tmp_path / "open.html", title="Ours & <theirs>", command="make it")
    for name in ("r.html", "r.csv", "r.md", "r.tex"):
        imiad.report(tmp_path / "results.sqlite", tmp_path / name)
    page = (tmp_path / "open.html").read_text(encoding="utf-8")
    assert "Ours &amp; &lt;theirs&gt;</h1>" in page and "make it" in page and "1 finished cells" in page
    assert "0.713" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert (tmp_path / "r.csv").read_text(encoding="utf-8").startswith("table,setting,")
    assert (tmp_path / "r.md").read_text(encoding="utf-8").startswith("# IM-IAD results")
    assert "\\toprule" in (tmp_path / "r.tex").read_text(encoding="utf-8")
    imiad.report(tmp_path / "results.sqlite", tmp_path / "none.html", detector="padim")
    assert "0 finished cells" in (tmp_path / "none.html").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="names no report"):
        imiad.report(tmp_path / "results.sqlite", tmp_path / "r.pdf")
    with pytest.raises(imiad.Error):
        imiad.report(tmp_path / "nowhere.sqlite", tmp_path / "r.html")


def test_published_figures():
    figure = imiad.find_published("unsupervised", "mvtec_ad", "patchcore", "image_auroc")
    assert figure.figure == 0.992 and figure.mark == ""  # the paper's table IV
    assert figure in imiad.published()
    assert imiad.find_published("unsupervised", "mvtec_ad", "patchcore", "nothing") is None


def test_continual_numbers_by_hand():
    nan = float("nan")
    matrix = [[0.9, nan, nan], [0.8, 0.9, nan], [0.6, 0.7, 0.95]]
    assert imiad.continual.average(matrix) == pytest.approx((0.6 + 0.7 + 0.95) / 3, abs=1e-15)
    assert imiad.continual.forgetting(matrix, 0) == pytest.approx(0.3, abs=1e-15)
    assert imiad.continual.forgetting_measure(matrix) == pytest.approx(0.25, abs=1e-15)
    assert imiad.continual.forgetting_measure(matrix, published=True) == pytest.approx(0.5 / 3, abs=1e-15)
    with pytest.raises(TypeError, match="tasks x tasks"):
        imiad.continual.average([1, 2])


def test_threads_can_be_set_and_read(run_python):
    status, output = run_python("import imiad; imiad.set_threads(2); print(imiad.threads())")
    assert (status, output) == (0, "2\n")
