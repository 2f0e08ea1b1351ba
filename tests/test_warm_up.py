"""The warm-up reaches every compiled function, on a cache that is empty."""

import os
import subprocess
import sys

CHECK = """
import importlib, pkgutil, sys
import polymorphkd
from numba.core.registry import CPUDispatcher
from polymorphkd.warm_up import warm_up

modules = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(polymorphkd.__path__, "polymorphkd.")
    if "njit" in open(module.module_finder.find_spec(module.name).origin).read()
]
warm_up()
compiled = {
    f"{value.py_func.__module__}.{value.py_func.__name__}": len(value.signatures)
    for module in modules for value in vars(module).values() if isinstance(value, CPUDispatcher)
}
print(len(compiled), *(name for name, count in compiled.items() if not count))
"""


def test_every_compiled_function_is_warmed_up(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, check=True
    )
    count, *cold = done.stdout.split()
    assert int(count) > 50
    assert not cold
