"""The registered detectors, each a callable with the options of its schema.

    imiad.detectors.names()
    imiad.detectors.patchcore(backbone, coreset_ratio=0.1)
"""
from ._library import lib as _lib
from ._models import Detector as _Detector
from ._options import Registry as _Registry, parameter as _parameter

_registry = _Registry("detector", _lib.imiad_detector_type_count, _lib.imiad_detector_type_name,
                      _lib.imiad_detector_type_title, _lib.imiad_detector_option_info, _Detector,
                      [_parameter("backbone", None)])
names, schema, title = _registry.names, _registry.schema, _registry.title


def __getattr__(name):
    return _registry.attribute(__name__, name)


def __dir__():
    return ["names", "schema", "title"] + names()
