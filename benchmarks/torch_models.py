"""The workloads in plain PyTorch: the same layers, the same first distributions of weights."""

from typing import Any

from benchmarks.workloads import TABLE, Workload


def parts(torch: Any, workload: Workload) -> tuple[Any, Any, Any, Any]:
    """Model, inputs, targets and loss function of a workload."""
    nn = torch.nn
    features, targets = workload.data(workload.rows)
    x, y = torch.from_numpy(features), torch.from_numpy(targets)
    loss: Any = nn.CrossEntropyLoss()
    if y.dtype == torch.int32:
        y = y.long()
    if workload.name == "small":
        model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 1))
        loss = nn.BCEWithLogitsLoss()
    elif workload.name == "dense":
        model = nn.Sequential(
            nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
        )
    elif workload.name == "lstm":
        model, loss = _recurrent(torch), nn.MSELoss()
    elif workload.name == "transformer":
        model = _transformer(torch)

        def loss(logits: Any, y: Any) -> Any:
            return nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())

    elif workload.name in ("embedding", "table"):
        sizes = (500_000, 32) if workload.name == TABLE.name else (20_000, 64)
        model, loss = _bag(torch, *sizes), nn.BCEWithLogitsLoss()
    else:
        x = x.permute(0, 3, 1, 2).contiguous()
        model = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10),
        )  # fmt: skip
    _start(torch, model)
    return model, x, y, loss


def _start(torch: Any, model: Any) -> None:
    """Keras's first weights: Glorot for kernels, zeros for biases, narrow tables."""
    init = torch.nn.init
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(module, torch.nn.Embedding):
                init.uniform_(parameter, -0.05, 0.05)
            elif isinstance(module, torch.nn.LayerNorm):
                continue
            elif name == "positions":
                init.normal_(parameter, std=0.05)
            elif "weight" in name:
                init.xavier_uniform_(parameter)
            else:
                init.zeros_(parameter)
    for module in model.modules():
        if isinstance(module, torch.nn.LSTM):  # gates i, f, g, o: what is remembered at first
            with torch.no_grad():
                module.bias_ih_l0[64:128] = 1.0


def _recurrent(torch: Any) -> Any:
    nn = torch.nn

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(16, 64, batch_first=True), nn.Linear(64, 1)

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(x)[0][:, -1])

    return Recurrent()


def _transformer(torch: Any) -> Any:
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project, self.join = nn.Linear(128, 384), nn.Linear(128, 128)
            self.wide, self.narrow = nn.Linear(128, 512), nn.Linear(512, 128)
            self.first, self.second = nn.LayerNorm(128, 1e-3), nn.LayerNorm(128, 1e-3)

        def forward(self, x: Any) -> Any:
            heads = self.project(x).unflatten(-1, (3, 4, 32)).permute(2, 0, 3, 1, 4)
            mixed = nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
            x = self.first(x + self.join(mixed.transpose(1, 2).flatten(2)))
            return self.second(x + self.narrow(torch.relu(self.wide(x))))

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(1000, 128)
            self.positions = nn.Parameter(torch.zeros(64, 128))
            self.blocks, self.head = nn.Sequential(Block(), Block()), nn.Linear(128, 1000)

        def forward(self, x: Any) -> Any:
            return self.head(self.blocks(self.table(x) + self.positions))

    return Transformer()


def _bag(torch: Any, kinds: int, width: int) -> Any:
    nn = torch.nn

    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(kinds, width), nn.Linear(width, 1)

        def forward(self, x: Any) -> Any:
            return self.head(self.table(x).mean(1))

    return Bag()
