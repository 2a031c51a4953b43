"""Detectors and datasets written in Python go through everything that the library's own go through."""
import numpy as np
import pytest

import imiad
from conftest import SMALL


@imiad.register_detector
class MeanDistance(imiad.DetectorPlugin):
    """The squared distance of a position's features to their mean over the normal images."""

    name = "python_mean_distance"
    title = "Distance to the mean feature, in Python"
    options = [imiad.Option("scale", "real", "1", "0<..", "factor of every score"),
               imiad.Option("channels", "int", "128", "1..1024", "how many are looked at")]
    layers = ["layer2"]

    def __init__(self, options):
        assert options["smoothing"] == 4.0 or options["smoothing"] == 0.0
        self.scale, self.channels = options["scale"], options["channels"]

    def fit(self, normals):
        self.mean = sum(self.features(batch).sum(0) for batch in normals) / len(normals)
        normals.progress("mean", 1, 1)

    def features(self, batch):
        return batch.features["layer2"][:, :self.channels]

    def score(self, batch):
        return self.scale * ((self.features(batch) - self.mean) ** 2).sum(1)

    def save(self):
        return {"mean": self.mean}

    def load(self, blocks):
        self.mean = blocks["mean"]


@imiad.register_detector
class Brightness(imiad.DetectorPlugin):
    """Without a backbone or maps: how far an image's mean is from that of the normal ones."""

    name = "python_brightness"
    fail = None

    def fit(self, normals):
        self.passes = []
        for _ in range(2):
            self.passes.append(np.mean([image.mean() for batch in normals for image in batch.images]))
        self.mean = self.passes[0]

    def score(self, batch):
        if Brightness.fail:
            raise Brightness.fail
        return np.array([abs(image.mean() - self.mean) for image in batch.images])

    def save(self):
        return {"mean": np.array(self.mean)}

    def load(self, blocks):
        self.mean = float(blocks["mean"])


@imiad.register_detector
class DefectColour(imiad.DetectorPlugin):
    """Supervised: how much nearer a pixel is to the defects' mean colour than to that of the rest."""

    name = "python_defect_colour"
    takes_anomalies = takes_masks = True

    def fit(self, images):
        DefectColour.seen = [images.image(i) for i in range(len(images))]
        DefectColour.batches = []
        sums, pixels = np.zeros((2, 3)), np.zeros(2)
        for batch in images.draw_balanced(steps=3, batch=4, seed=7):
            DefectColour.batches.append((list(batch.labels), list(batch.indices), batch.roles))
            for image, mask in zip(batch.images, batch.masks):
                for kind in (0, 1):
                    sums[kind] += image[mask == kind].sum(0)
                    pixels[kind] += (mask == kind).sum()
        self.means = sums / np.maximum(pixels, 1)[:, None]

    def score(self, batch):
        assert batch.labels is None and batch.masks is None
        return np.stack([((image - self.means[0]) ** 2).sum(2) - ((image - self.means[1]) ** 2).sum(2)
                         for image in batch.images])

    def save(self):
        return {"means": self.means}

    def load(self, blocks):
        self.means = blocks["means"]



@pytest.fixture
def fitted_plugin(backbone, split):
    return imiad.detectors.python_mean_distance(backbone, smoothing=0, **SMALL).fit(split)


def test_it_is_listed_with_its_options(backbone):
    assert {"python_mean_distance", "python_brightness"} <= set(imiad.detectors.names())
    assert [line.name for line in imiad.detectors.schema("python_mean_distance")][-2:] == ["scale", "channels"]
    with pytest.raises(imiad.Error, match="0<.."):
        imiad.detectors.python_mean_distance(backbone, scale=0)
    with pytest.raises(imiad.Error, match="python_brightness"):
        imiad.register_detector(Brightness)  # the name is taken


def test_it_scores_what_its_equation_says(fitted_plugin, backbone, dataset, split):
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    images = np.stack([dataset.read_image(i) for i in split.train + split.test])
    features = backbone.features("layer2", ((images / 255 - mean) / deviation).transpose(0, 3, 1, 2))
    count = len(split.train)
    expected = ((features[count:] - features[:count].mean(0)) ** 2).sum(1)
    coarse = [fitted_plugin.score(image).map for image in images[count:]]
    for map, small in zip(coarse, expected):  # 8 x 8 upsampled to 64 x 64 keeps the middle value
        assert map.shape == (64, 64)
        assert map.max() <= small.max() * 1.001 and abs(map.mean() / small.mean() - 1) < 0.1


def test_its_options_arrive(backbone, dataset, split, fitted_plugin):
    twice = imiad.detectors.python_mean_distance(backbone, smoothing=0, scale=2, **SMALL).fit(split)
    image = dataset.read_image(split.test[0])
    assert twice.score(image).score == pytest.approx(2 * fitted_plugin.score(image).score, rel=1e-6)


def test_protocols_files_batches_and_clones(fitted_plugin, dataset, split, tmp_path):
    summary = imiad.evaluate(fitted_plugin, split).summary()
    assert all(0 <= value <= 1 for value in summary.values())
    fitted_plugin.save(tmp_path / "plugin.imiad")
    images = [dataset.read_image(i) for i in split.test]
    expected = fitted_plugin.score_batch(images).scores
    with imiad.Detector.load(tmp_path / "plugin.imiad") as loaded:
        assert (loaded.score_batch(images).scores == expected).all()
    with fitted_plugin.clone() as clone:
        assert (clone.score_batch(images).scores == expected).all()
    np.testing.assert_allclose([fitted_plugin.score(image).score for image in images], expected, rtol=1e-4)


def test_images_alone_and_scores_alone(dataset, split):
    detector = imiad.detectors.python_brightness(**SMALL).fit(split)
    image = dataset.read_image(split.test[0])
    normal = np.mean([dataset.read_image(i).mean() for i in split.train])
    result = detector.score(image)
    assert result.map is None and result.score == pytest.approx(abs(image.mean() - normal), rel=1e-4)


def test_its_exceptions_reach_the_caller(dataset, split):
    detector = imiad.detectors.python_brightness(**SMALL).fit(split)
    Brightness.fail = KeyError("what went wrong")
    try:
        with pytest.raises(KeyError, match="what went wrong"):
            detector.score(dataset.read_image(0))
    finally:
        Brightness.fail = None
    detector.score(dataset.read_image(0))


def test_a_fit_can_be_stopped(backbone, split):
    def stop(stage, done, total):
        raise RuntimeError("enough")
    with pytest.raises(RuntimeError, match="enough"):
        imiad.detectors.python_mean_distance(backbone, **SMALL).fit(split, stop)


class Stripes(imiad.DatasetPlugin):
    """Drawn when asked: stripes, and a square where one is defective."""

    name, title = "python_stripes", "Stripes drawn by Python"
    options = [imiad.Option("count", "int", "4", "1..100", "images of each kind")]
    fail = False

    def list(self, root, options):
        for subset, label in (("train", 0), ("test", 0), ("test", 1)):
            for i in range(options["count"]):
                yield imiad.Listed(f"{subset}/{label}/{i}", "stripes", label, subset, has_mask=bool(label), key=i)

    def read_image(self, sample, key):
        if Stripes.fail:
            raise OSError("no camera")
        image = np.broadcast_to((np.arange(64) // 4 % 2 * 200).astype(np.uint8)[:, None, None], (64, 64, 3))
        return np.where(self.read_mask(sample, key)[:, :, None], 90, image).astype(np.uint8)

    def read_mask(self, sample, key):
        mask = np.zeros((64, 64), bool)
        if sample.label:
            mask[20:30, 10 + key:25 + key] = True
        return mask


imiad.register_dataset(Stripes())


@pytest.mark.parametrize("opened", [lambda **o: imiad.datasets.python_stripes(**o),
                                    lambda **o: imiad.open_dataset(Stripes(), **o)])
def test_a_dataset_of_functions(opened, backbone):
    dataset = opened(count=3)
    assert dataset.categories == ["stripes"] and len(dataset) == 9
    split = dataset.split("stripes")
    defective = next(i for i in split.test if dataset[i].label)
    assert dataset.read_mask(defective).sum() == 150 * 255
    assert (dataset.read_image(defective)[22, 15] == 90).all()
    detector = imiad.detectors.patchcore(backbone, smoothing=0, **SMALL).fit(split)
    counts = imiad.evaluate(detector, split).counts
    assert (counts.images, counts.defective_pixels) == (6, 3 * 150)


def test_its_failures_have_its_words(backbone):
    dataset = imiad.open_dataset(Stripes())
    Stripes.fail = True
    try:
        with pytest.raises(OSError, match="no camera"):  # in this thread: the exception itself
            dataset.read_image(0)
        with pytest.raises(imiad.Error, match="OSError: no camera"):  # in a loader's thread: its words
            imiad.detectors.patchcore(backbone, **SMALL).fit(dataset.split("stripes"))
    finally:
        Stripes.fail = False


def test_a_dataset_of_images_in_memory(dataset, split):
    rows = [imiad.MemorySample(dataset.read_image(i), dataset[i].label, dataset[i].subset,
                               dataset.read_mask(i) if dataset[i].label else None, "nuts")
            for i in split.train + split.test]
    memory = imiad.dataset_from_images("mine", rows)
    assert (memory.name, memory.categories, len(memory)) == ("mine", ["nuts"], 11)
    assert sorted(one.label for one in memory) == [0] * 7 + [1] * 4
    defective = next(one for one in memory if one.label)
    assert memory.read_mask(defective.index).any()
    assert len(memory.split("nuts").train) == 4


# ---- supervised ----

def discs(defective):
    """Black images; a defective one has a red square, which its mask shows."""
    image, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    if defective:
        image[10:20, 30:50, 0], mask[10:20, 30:50] = 200, 1
    return image, mask


def test_balanced_batches_with_masks_teach_a_plugin_in_the_supervised_setting(tmp_path):
    rows = [imiad.MemorySample(discs(False)[0], path=f"good/{i}") for i in range(5)]
    rows += [imiad.MemorySample(*(discs(i % 2)[0], i % 2, "test", discs(1)[1] if i % 2 else None),
                                path=f"test/{i}") for i in range(8)]
    data = imiad.dataset_from_images("squares", rows)
    split = data.split("default", "supervised", anomalies=2)
    detector = imiad.Detector("python_defect_colour", smoothing=0, **SMALL).fit(split)
    assert sorted(one.label for one in DefectColour.seen) == [0, 0, 0, 0, 0, 1, 1]
    assert {one.role for one in DefectColour.seen if one.label} == {"anomaly"}
    assert [labels for labels, _, _ in DefectColour.batches] == [[0, 0, 1, 1]] * 3
    assert imiad.evaluate(detector, split).pixel_auroc() > 0.99
    first = DefectColour.batches
    detector.fit(split)
    assert DefectColour.batches == first  # drawn from the seed


def test_labelled_images_in_memory_teach_a_plugin():
    good, square = discs(False), discs(True)
    detector = imiad.Detector("python_defect_colour", smoothing=0, **SMALL)
    detector.fit_labelled([(good[0],), (good[0], 0), imiad.LabelledImage(square[0], 1, square[1])])
    found = detector.score(square[0]).map
    assert found[15, 40] > 0 > found[40, 15]
    with pytest.raises(imiad.Error, match="defective image 1 has none"):
        detector.fit_labelled([(good[0],), (square[0], 1)])


def test_a_plugin_that_takes_no_anomalies_sees_none():
    detector = imiad.Detector("python_brightness", **SMALL)
    detector.fit_labelled([(discs(False)[0],), (discs(True)[0], 1, discs(True)[1])])
    assert detector.score(discs(False)[0]).score == 0
