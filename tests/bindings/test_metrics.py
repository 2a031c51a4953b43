"""imiad.metrics against scikit-learn and hand calculation, on the same arrays."""
import numpy as np
import pytest
import torch
from sklearn import metrics as reference

import imiad
from imiad import metrics

random = np.random.default_rng(0)


def drawn(kind, count=6, size=40):
    """Masks with a square each and maps that see them dimly; every second image is good."""
    masks = np.zeros((count, size, size), bool)
    for i in range(0, count, 2):
        y, x = random.integers(0, size - 12, 2)
        masks[i, y:y + 9, x:x + 12] = True
    maps = random.standard_normal(masks.shape) + masks
    return masks, (np.round(maps * 8) / 8 if kind == "ties" else maps).astype(
        {"float64": np.float64, "int32": np.int32}.get(kind, np.float32))


@pytest.mark.parametrize("kind", ["float32", "ties", "float64", "int32"])
def test_values_are_those_of_scikit_learn(kind):
    masks, maps = drawn(kind)
    truth, scores = masks.ravel(), maps.ravel()
    assert metrics.auroc(masks, maps) == pytest.approx(reference.roc_auc_score(truth, scores), abs=1e-12)
    assert metrics.average_precision(masks, maps) == pytest.approx(
        reference.average_precision_score(truth, scores), abs=1e-12)
    precision, recall, thresholds = reference.precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    best = metrics.f1_max(masks, maps)
    assert best.f1 == pytest.approx(f1.max(), abs=1e-12)
    assert best.threshold == thresholds[np.argmax(f1[:-1] > f1.max() - 1e-14)]
    assert reference.f1_score(truth, scores >= best.threshold) == pytest.approx(best.f1, abs=1e-12)


def test_scores_wider_than_float32_are_not_rounded():
    scores = 1 + np.arange(4) * 1e-12
    assert len(np.unique(scores.astype(np.float32))) == 1
    assert metrics.auroc([0, 0, 1, 1], scores) == 1.0
    assert metrics.f1_max([0, 0, 1, 1], scores).threshold == scores[2]
    assert metrics.auroc([0, 1], np.array([2 ** 53, 2 ** 53 + 1])) == 1.0


def test_any_shape_and_many_kinds_of_truth():
    masks, maps = drawn("float32")
    value = metrics.auroc(masks, maps)
    for truth in (masks.astype(np.uint8) * 255, masks.astype(float), list(masks), masks.tolist()):
        assert metrics.auroc(truth, maps) == value
    assert metrics.auroc(masks.ravel(), maps.ravel()) == value
    assert metrics.auroc(masks[:, None], maps[:, None]) == value
    assert metrics.auroc([0, 0, 1], [0.1, 0.2, 0.9]) == 1.0
    sizes = [masks[0], masks[2][:30]], [maps[0], maps[2][:30]]
    assert metrics.auroc(*sizes) == pytest.approx(reference.roc_auc_score(
        np.concatenate([m.ravel() for m in sizes[0]]), np.concatenate([m.ravel() for m in sizes[1]])),
        abs=1e-12)


def test_aupro_by_hand():
    """Two regions of 1 and 2 pixels, 5 normal ones. Above 0.9, 0.8, 0.6 no normal pixel: the whole
    overlap is reached at a rate of 0, so the area is 1; with one region below all normals, 1/2."""
    mask = np.array([[1, 0, 1, 1], [0, 0, 0, 0]])
    assert metrics.aupro(mask, np.array([[0.9, 0.1, 0.8, 0.6], [0.1, 0.2, 0.3, 0.1]])) == 1.0
    assert metrics.aupro(mask, np.array([[0.0, 0.1, 0.8, 0.6], [0.1, 0.2, 0.3, 0.1]])) == 0.5
    corner = np.eye(4)[None]  # a diagonal: one region of eight neighbours, four of four
    for connectivity, regions in ((8, 1), (4, 4)):
        counted = imiad.Metrics(connectivity=connectivity)
        counted.add_map(np.zeros((4, 4), np.float32), corner[0])
        assert counted.counts.regions == regions


def test_sampled_aupro_comes_near_the_exact_one():
    masks, maps = drawn("float32")
    assert metrics.aupro_sampled(masks, maps, steps=1000) == pytest.approx(metrics.aupro(masks, maps),
                                                                        abs=0.01)


def test_what_does_not_exist_is_an_error():
    with pytest.raises(imiad.Error) as caught:
        metrics.auroc([1, 1], [0.1, 0.2])
    assert caught.value.status == imiad.Status.UNDEFINED
    for scores in ([0.1, float("nan")], np.array([0.1, np.nan], np.float32), [0.1, float("inf")]):
        with pytest.raises(imiad.Error) as caught:
            metrics.auroc([0, 1], scores)
        assert caught.value.status == imiad.Status.NOT_FINITE
    assert metrics.auroc([0, 1], [0.1, float("inf")], infinities="allow") == 1.0
    with pytest.raises(imiad.Error, match="shapes must be the same"):
        metrics.auroc([0, 1, 1], [0.1, 0.2])
    assert imiad.Metrics().summary() == dict.fromkeys(
        "image_auroc image_ap image_f1max pixel_auroc pixel_ap pixel_f1max aupro".split())


def test_a_map_is_never_rounded_in_silence():
    with pytest.raises(TypeError, match="astype"):
        imiad.Metrics().add_map(np.zeros((2, 2)))
    imiad.Metrics().add_map(np.zeros((2, 2), np.float16))


def test_masks_may_have_another_size_where_a_rule_is_chosen():
    map, mask = np.array([[0, 1]], np.float32), np.array([[0, 1, 0, 1]])
    with pytest.raises(imiad.Error, match="shapes must be the same"):
        metrics.auroc([mask], [map])
    assert metrics.auroc([mask], [map], sizes="mask") == 0.75  # of 0, 0.25, 0.75 and 1
    with pytest.raises(TypeError, match="astype"):
        metrics.auroc([mask], [map.astype(np.float64)], sizes="mask")
    mask[0, 1] = 0
    assert metrics.auroc([mask], [map.astype(np.float64)], sizes="map") == 1.0


def test_tensors_are_taken_as_they_are():
    masks, maps = drawn("float32")
    assert metrics.aupro(torch.from_numpy(masks), torch.from_numpy(maps)) == metrics.aupro(masks, maps)


def test_saturated_overlap():
    """One channel of 4 pixels that saturates at 2: two of them above all normals are enough."""
    mask = np.zeros((4, 4), np.uint8)
    mask[0] = 255
    map = np.zeros((4, 4), np.float32)
    map[0, :2] = 1
    map[1:] = 0.5
    for saturation, relative in ((2, False), (0.5, True)):
        spro = imiad.Spro()
        spro.add_map(np.zeros((4, 4), np.float32))
        spro.add_map(map, "logical", [metrics.Channel(mask, saturation, relative)])
        spro.add_image("good", 0)
        spro.add_image("logical", 1)
        assert spro.area("logical") == 1.0 and spro.image_auroc("logical") == 1.0
        assert spro.image_auroc_loco_order("logical") == 1.0
        assert spro.counts.channels == (0, 0, 1)
    with pytest.raises(ValueError, match="structural"):
        spro.area("odd")


def test_the_schema_lists_the_options():
    assert [line.name for line in metrics.schema()] == ["connectivity", "infinities", "sizes"]
