"""nn: layers, losses and optimisers on minigrad's tensors, under PyTorch's names."""

from nn import functional, init, optim, utils
from nn.activation import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from nn.alignment import AdditiveAttention, DotProductAttention, GeneralAttention
from nn.attention import MultiheadAttention
from nn.cache import KVCache
from nn.containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from nn.convolution import Conv1d
from nn.dropout import Dropout
from nn.embedding import Embedding
from nn.large_vocabulary import HierarchicalSoftmax, NegativeSamplingLoss
from nn.linear import Flatten, Identity, Linear
from nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from nn.module import Module, Parameter
from nn.normalization import LayerNorm, RMSNorm
from nn.pooling import AdaptiveMaxPool1d, AvgPool1d, MaxOverTime, MaxPool1d, MeanOverTime
from nn.positional import LearnedPositionalEmbedding, RotaryEmbedding, SinusoidalPositionalEncoding
from nn.rnn import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from nn.transformer import (
    DecoderCache,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
