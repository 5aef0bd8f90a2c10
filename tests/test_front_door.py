"""What `import lrbs` brings: few names, quickly, and rooms that load when they are asked for."""

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import lrbs
from lrbs import lab, laws

ROOMS = ("checks", "lab", "laws", "noise_scale", "show", "tradeoff")
FIRST_RELEASE = {
    "LocalModel",
    "SGD",
    "SignSGD",
    "SoftSignSGD",
    "Adam",
    "Muon",
    "Preconditioned",
    "exact",
    "mean_field",
    "scalar_mean_field",
    "expected_step",
    "simulated_step",
    "measured_step",
    "Step",
    "fit_tradeoff",
    "formulas",
    "noise_scale_from_samples",
    "noise_scale_from_workers",
    "noise_scale_from_two_batches",
    "noise_scale_from_momentum",
    "noise_scale_from_update_rms",
    "two_batch_moments",
    "RunningNoiseScale",
    "NoiseScaleEstimate",
    "fit_power_saturation",
}


def test_door_is_small_and_every_name_opens() -> None:
    assert len(lrbs.__all__) <= 45
    assert FIRST_RELEASE | {"ScalarLaw", "saturation", *ROOMS} <= set(lrbs.__all__)
    assert all(getattr(lrbs, name) is not None for name in lrbs.__all__)
    assert set(lrbs.__all__) <= set(dir(lrbs))
    with pytest.raises(AttributeError, match=r"no attribute 'ema_weights'; laws are in lrbs\.laws"):
        lrbs.ema_weights  # noqa: B018


def test_import_loads_no_room_and_nothing_heavy() -> None:
    code = "import json, sys, lrbs; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    heavy = {"scipy.stats", "scipy.optimize", "scipy.integrate", "matplotlib", "sklearn", "torch"}
    assert not {*heavy, *(f"lrbs.{room}" for room in ROOMS)} & set(loaded)


@pytest.mark.parametrize("room", [laws, lab], ids=lambda room: room.__name__)
def test_lazy_rooms_name_what_their_modules_export(room) -> None:
    folder = Path(room.__file__).parent
    modules = [import_module(f"{room.__name__}.{path.stem}") for path in folder.glob("[!_]*.py")]
    exported = {name: module for module in modules for name in getattr(module, "__all__", ())}
    for name in room.__all__:
        assert getattr(room, name) is getattr(exported[name], name)
    if room is laws:
        assert set(room.__all__) == set(exported)


def test_functions_do_not_shadow_modules() -> None:
    for path in Path(lrbs.__file__).parent.rglob("*.py"):
        package = import_module(".".join(["lrbs", *path.relative_to(Path(lrbs.__file__).parent).parts[:-1]]))
        if path.stem != "__init__":
            assert path.stem not in getattr(package, "__all__", ()) or package is lrbs, path


def imported_by(path: Path) -> set[str]:
    """Modules of lrbs that a file imports, at its head or later; the faces of packages aside."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lrbs"):
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def test_imports_go_one_way() -> None:
    root = Path(lrbs.__file__).parent
    files = {
        ".".join(["lrbs", *path.relative_to(root).with_suffix("").parts]): path for path in root.rglob("*.py")
    }
    whole = {name: imported_by(path) & set(files) for name, path in files.items()}
    _ = list(TopologicalSorter(whole).static_order())  # raises where modules import each other in a circle
    rooms: dict[str, set[str]] = {}
    for name, others in whole.items():
        if name != "lrbs.__init__":  # the door, which opens all of them
            rooms.setdefault(name.split(".")[1], set()).update(other.split(".")[1] for other in others)
    _ = list(TopologicalSorter({room: to - {room} for room, to in rooms.items()}).static_order())


def test_files_are_short() -> None:
    long = {
        path.name: len(path.read_text("utf-8").splitlines())
        for path in Path(lrbs.__file__).parent.rglob("*.py")
    }
    assert max(long.values()) <= 400, max(long, key=long.__getitem__)
