# SPDX-License-Identifier: Apache-2.0
"""Pickles of strangers, read only where they hold plain containers, text and numbers.

Anything else could run code.
"""

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import reading


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise InputError(f"it names {module}.{name}, and only lists, dicts, text and numbers are read")

    def persistent_load(self, name: Any) -> NoReturn:
        raise InputError("it refers to something outside of it")


def read_plain_pickle(file: Path) -> Any:
    """What a pickle of Python 2 or 3 holds.

    InputError where it holds anything but plain containers, text and numbers.
    """
    data = reading.content(file)
    try:
        return _Plain(io.BytesIO(data), encoding="utf-8", errors="replace").load()
    except InputError as error:
        raise InputError(f"'{file}' is not read, because {error}: get the published file.") from None
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise InputError(f"'{file}' is no whole pickle ({error}): copy it again.") from None
