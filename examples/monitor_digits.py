"""A small network on handwritten digits, watched while it trains: python examples/monitor_digits.py

Prints the noise scale and a table of how it grew, draws noise.png, and plans eight times the batch. Needs
lrbs[torch,book]; half a minute.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import lrbs
from lrbs.torch import NoiseMonitor

STEPS, BATCH = 250, 64
torch.manual_seed(0)
data = lrbs.lab.digits()[0]
images, labels = torch.tensor(data.features, dtype=torch.float32), torch.tensor(data.labels)
model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.Tanh(), torch.nn.Linear(256, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
log = Path("noise.jsonl")
log.unlink(missing_ok=True)
monitor = NoiseMonitor(optimizer, log=log, log_every=10)


def loss(places):
    return torch.nn.functional.cross_entropy(model(images[places]), labels[places])


for places in monitor.progress(torch.randint(len(images), (STEPS, BATCH)), every=50):
    for part in places.chunk(4):
        (loss(part) / 4).backward()
        monitor.update(len(part))
    optimizer.step()
    optimizer.zero_grad()

print(monitor)
print(monitor.probe(loss, torch.randint(len(images), (32, BATCH))))
lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
seen = [(line["step"], *line["noise_scale"].values()) for line in lines if line["noise_scale"]["resolved"]]
for step, estimate, low, high, _ in seen[4::5]:
    print(f"step {step:4d}  noise scale {estimate:6.1f}, {low:.1f} to {high:.1f}")
steps, _, low, high, _ = zip(*seen, strict=True)
plt.fill_between(steps, low, high, alpha=0.3, label="noise scale, 95 %")
plt.axhline(BATCH, color="k", label="batch size")
plt.gca().set(xlabel="step", ylabel="samples", yscale="log")
plt.legend()
plt.savefig("noise.png")
print(lrbs.plan(log=log, to=8 * BATCH))
