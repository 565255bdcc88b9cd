"""Tools around parameters and gradients; sequences of different lengths (nn.utils.rnn); data sets (nn.utils.data)."""

from nn.utils import data, rnn
from nn.utils.parameters import (
    clip_grad_norm_,
    clip_grad_value_,
    decay_groups,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
)
from nn.utils.weight_norm import remove_weight_norm, weight_norm
