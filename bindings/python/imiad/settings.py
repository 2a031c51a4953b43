"""The benchmark's settings, each a callable with the options of its schema.

    imiad.settings.names()
    imiad.settings.noisy(dataset, "bottle", ratio=0.1)
"""
from ._data import Split as _Split
from ._library import lib as _lib
from ._options import Registry as _Registry, parameter as _parameter


def _make(setting, dataset, category, **options):
    return _Split(dataset, category, setting, **options)


_registry = _Registry("setting", _lib.imiad_setting_count, _lib.imiad_setting_name,
                      _lib.imiad_setting_title, _lib.imiad_setting_option_info, _make,
                      [_parameter("dataset"), _parameter("category")])
names, schema, title = _registry.names, _registry.schema, _registry.title


def __getattr__(name):
    return _registry.attribute(__name__, name)


def __dir__():
    return ["names", "schema", "title"] + names()
