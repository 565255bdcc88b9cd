"""Losses as Modules: settings in the constructor, forward(input, target). What they compute is in functional/loss.py.

Settings are given by name: PyTorch still has two retired ones in between. The reductions are "mean", "sum" and "none".
"""

from minigrad.tensor import Tensor
from nn import functional as F
from nn.module import Module


class CrossEntropyLoss(Module):
    """-ln softmax(input)[target] for logits (n, classes, ...) and class numbers (n, ...) or probabilities.

    weight           (classes,) a factor for each class
    ignore_index     rows with this target count nothing
    label_smoothing  how much of the target goes to the uniform distribution
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__()
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction, self.label_smoothing = ignore_index, reduction, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of input, as the class says, reduced."""
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Module):
    """-input[target] for log-probabilities (n, classes, ...) and class numbers (n, ...)."""

    def __init__(self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean"):
        super().__init__()
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction = ignore_index, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of input, as the class says, reduced."""
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCEWithLogitsLoss(Module):
    """-(pos_weight·t ln σ(x) + (1 - t) ln(1 - σ(x))) for logits x and targets t in [0, 1] of one shape."""

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean", pos_weight: Tensor | None = None):
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of input, as the class says, reduced."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class BCELoss(Module):
    """-(t ln p + (1 - t) ln(1 - p)) for probabilities p and targets t of one shape."""

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean"):
        super().__init__()
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of input, as the class says, reduced."""
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class MSELoss(Module):
    """(input - target)²"""

    def __init__(self, *, reduction: str = "mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of input, as the class says, reduced."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Module):
    """|input - target|"""

    def __init__(self, *, reduction: str = "mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of input, as the class says, reduced."""
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Module):
    """With d = |input - target|: d²/(2 beta) where d < beta, d - beta/2 elsewhere."""

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0):
        super().__init__()
        self.reduction, self.beta = reduction, beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of input, as the class says, reduced."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Module):
    """With d = |input - target|: d²/2 where d < delta, delta·(d - delta/2) elsewhere."""

    def __init__(self, *, reduction: str = "mean", delta: float = 1.0):
        super().__init__()
        self.reduction, self.delta = reduction, delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of input, as the class says, reduced."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class KLDivLoss(Module):
    """target·(ln target - input) for log-probabilities input; reduction="batchmean" is the divergence proper."""

    def __init__(self, *, reduction: str = "mean", log_target: bool = False):
        super().__init__()
        self.reduction, self.log_target = reduction, log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of input, as the class says, reduced."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class GaussianNLLLoss(Module):
    """(ln var + (input - target)²/var)/2: the negative log-likelihood of a normal distribution."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__()
        self.full, self.eps, self.reduction = full, eps, reduction

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """The loss of means input and variances var, reduced."""
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class PoissonNLLLoss(Module):
    """exp(input) - target·input: the negative log-likelihood of counts, input the logarithm of the rate."""

    def __init__(self, log_input: bool = True, full: bool = False, *, eps: float = 1e-8, reduction: str = "mean"):
        super().__init__()
        self.log_input, self.full, self.eps, self.reduction = log_input, full, eps, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of input, as the class says, reduced."""
        return F.poisson_nll_loss(input, target, self.log_input, self.full, self.eps, reduction=self.reduction)
