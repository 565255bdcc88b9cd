"""TrainConfig: how to train a model, every setting with its default and what it means."""

from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

import nn
from models.configuration import check, check_choice, check_number, check_whole
from nn.optim import AdamW, Optimizer
from nn.optim.lr_scheduler import LinearWarmupCosine
from nn.utils import decay_groups


@dataclass
class TrainConfig:
    """How to train. The defaults are nanoGPT's for a small GPT on a CPU. Raises UserError for values without sense."""

    steps: int = 2000
    """Updates of the weights."""
    batch_size: int = 12
    """Sequences in a batch."""
    learning_rate: float = 1e-3
    """Where the warm-up ends; a cosine leads from there to min_learning_rate."""
    min_learning_rate: float = 1e-4
    """Learning rate of the last step."""
    warmup_steps: int = 100
    """Steps in which the learning rate rises from 0; never more than half of all."""
    weight_decay: float = 0.1
    """AdamW's, for matrices; biases and gains are left alone."""
    betas: tuple[float, float] = (0.9, 0.99)
    """AdamW's decay rates of the gradient's mean and of its square's."""
    grad_clip: float = 1.0
    """Largest norm of all gradients together; 0: no limit."""
    gradient_accumulation: int = 1
    """Batches whose gradients make one step: the effect of a batch this many times larger, in the memory of one."""
    eval_every: int = 250
    """Steps between evaluations on the validation text; 0: never."""
    eval_batches: int = 40
    """Batches an evaluation takes, the same each time; 0: the whole validation text."""
    patience: int = 0
    """Evaluations in a row without a lower validation loss that end the run, whose result is then the model with
    the lowest; 0: train to the end and keep the last."""
    save_every: int = 500
    """Steps between checkpoints (one is written at the end in any case)."""
    sample_every: int = 500
    """Steps between samples of the model's writing; 0: none."""
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"
    """What products are computed in; weights, sums and losses are float32 in any case. tf32 is for GPUs."""
    cuda_graph: bool = False
    """Record a step once and replay it with one launch: for models so small that a GPU waits for Python."""
    seed: int = 0
    """Of everything random: weights, batches, dropout."""

    def __post_init__(self) -> None:
        check_whole(self, "steps", "batch_size", "gradient_accumulation", "save_every")
        check_whole(self, "warmup_steps", "eval_every", "eval_batches", "patience", "sample_every", "seed", least=0)
        check_choice(self, precision=PRECISIONS)
        no_scaling = not (self.cuda_graph and self.precision == "float16")
        check(self, "precision", no_scaling, "bfloat16 or float32 with cuda_graph: float16 looks at each step")
        check_number(self, "learning_rate", zero=False)
        check_number(self, "weight_decay", "grad_clip", "min_learning_rate")
        fits = 0 <= self.min_learning_rate <= self.learning_rate
        check(self, "min_learning_rate", fits, f"a number from 0 to the learning_rate {self.learning_rate}")
        self.betas = tuple(self.betas)  # type: ignore[assignment]  # its length is checked below
        check(self, "betas", len(self.betas) == 2 and all(0 <= b < 1 for b in self.betas), "two numbers in [0, 1)")

    def optimizer(self, model: nn.Module) -> AdamW:
        """The optimiser of these settings: AdamW, which lets matrices decay and leaves biases and gains alone."""
        return AdamW(decay_groups(model.parameters(), self.weight_decay), lr=self.learning_rate, betas=self.betas)

    def schedule(self, optimizer: Optimizer) -> LinearWarmupCosine:
        """The learning rates of these settings: up in a line, then down half a cosine."""
        warmup_steps = min(self.warmup_steps, self.steps // 2)
        return LinearWarmupCosine(optimizer, warmup_steps, self.steps, self.min_learning_rate)


PRECISIONS = get_args(get_type_hints(TrainConfig)["precision"])
