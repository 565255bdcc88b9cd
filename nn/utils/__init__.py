"""Tools around parameters and their gradients, and (nn.utils.rnn) sequences of different lengths."""

from nn.utils import rnn
from nn.utils.parameters import (
    clip_grad_norm_,
    clip_grad_value_,
    decay_groups,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
)
