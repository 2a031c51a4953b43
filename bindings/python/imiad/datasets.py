"""The registered datasets, each a callable with the options of its schema.

    imiad.datasets.names()
    imiad.datasets.mvtec_ad("/data/mvtec_ad", categories=["bottle"])
"""
from ._data import Dataset as _Dataset
from ._library import lib as _lib
from ._options import Registry as _Registry, parameter as _parameter

_registry = _Registry("dataset", _lib.imiad_dataset_type_count, _lib.imiad_dataset_type_name,
                      _lib.imiad_dataset_type_title, _lib.imiad_dataset_option_info, _Dataset,
                      [_parameter("root", "")])
names, schema, title = _registry.names, _registry.schema, _registry.title


def __getattr__(name):
    return _registry.attribute(__name__, name)


def __dir__():
    return ["names", "schema", "title"] + names()
