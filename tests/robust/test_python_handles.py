"""One handle in many threads, and closed at the wrong moment: calls wait, or raise; nothing is corrupted.

    test_python_handles.py              PYTHONPATH: the package of a build, IMIAD_LIBRARY: its library
"""
import ctypes
import threading
import time

import numpy as np

import imiad

SMALL = {"resize": 64, "crop": 64, "layers": "layer1", "coreset_ratio": 0.05}


def raises(kind, work):
    try:
        work()
    except kind as problem:
        return str(problem)
    raise AssertionError(f"no {kind.__name__}")


def in_threads(work, count):
    problems = []

    def run(k):
        try:
            work(k)
        except BaseException as problem:  # noqa: B902: told below
            problems.append(problem)
    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def four_threads_score_with_one_detector(detector):
    images = [np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8) for i in range(4)]
    wanted = [detector.score(image).score for image in images]

    def score(k):
        for _ in range(20):
            assert detector.score(images[k]).score == wanted[k]
    in_threads(score, 4)


def closing_waits_until_another_thread_has_fitted(backbone, split):
    detector = imiad.detectors.patchcore(backbone, **SMALL)
    begun = threading.Event()
    ended = []

    def fit():
        detector.fit(split, progress=lambda *_: (begun.set(), time.sleep(0.01)))
        ended.append(time.monotonic())
    thread = threading.Thread(target=fit)
    thread.start()
    begun.wait()
    detector.close()
    closed = time.monotonic()
    thread.join()
    assert ended and ended[0] <= closed + 0.5
    assert "closed" in raises(ctypes.ArgumentError, lambda: detector.score(np.zeros((64, 64, 3), np.uint8)))


def closing_in_one_s_own_callback_is_refused(backbone, split):
    detector = imiad.detectors.patchcore(backbone, **SMALL)
    assert "has not returned" in raises(RuntimeError,
                                        lambda: detector.fit(split, progress=lambda *_: detector.close()))
    assert "has not returned" in raises(
        RuntimeError, lambda: detector.fit(split, progress=lambda *_: detector.fit(split)))
    detector.fit(split, progress=lambda *_: detector.name)  # reading is no harm
    detector.close()
    detector.close()


def many_threads_close_one_handle(backbone, split):
    for _ in range(20):
        metrics = imiad.metrics.Metrics()
        in_threads(lambda k: metrics.close(), 8)
    # a dataset is shared: its readers do not wait for each other, and closing waits for them
    dataset = imiad.datasets.synthetic(size=64, train=2)

    def read(k):
        for i in range(10):
            try:
                dataset.image(i % 4) if hasattr(dataset, "image") else dataset.digest
            except (ValueError, ctypes.ArgumentError):
                return
            if k == 0 and i == 5:
                return
    in_threads(lambda k: dataset.close() if k == 3 else read(k), 4)


def a_nul_in_a_name_is_refused(backbone):
    assert "NUL" in raises(ValueError, lambda: imiad.Detector.load("x\0.imiad"))
    assert "NUL" in raises(ValueError, lambda: imiad.detectors.patchcore(backbone, layers="layer1\0,layer2"))


def main():
    imiad.set_threads(1)
    split = imiad.datasets.synthetic(size=64, train=6).split("hex_nut")
    backbone = imiad.Backbone("resnet18")
    detector = imiad.detectors.patchcore(backbone, **SMALL).fit(split)
    four_threads_score_with_one_detector(detector)
    closing_waits_until_another_thread_has_fitted(backbone, split)
    closing_in_one_s_own_callback_is_refused(backbone, split)
    many_threads_close_one_handle(backbone, split)
    a_nul_in_a_name_is_refused(backbone)
    print("python handles: 5 passed")


main()
