"""nn: layers, losses and optimisers on minigrad's tensors, under PyTorch's names."""

from nn import functional, init, optim, utils
from nn.activation import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softmin,
    Softplus,
    Softshrink,
    Softsign,
    Tanh,
    Tanhshrink,
    Threshold,
)
from nn.alignment import AdditiveAttention, DotProductAttention, GeneralAttention
from nn.attention import MultiheadAttention
from nn.cache import KVCache
from nn.containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from nn.convolution import Conv1d, Conv2d
from nn.distance import CosineSimilarity, PairwiseDistance
from nn.dropout import Dropout, Dropout1d, Dropout2d
from nn.embedding import Embedding
from nn.large_vocabulary import HierarchicalSoftmax, NegativeSamplingLoss
from nn.linear import Flatten, Identity, Linear, Unflatten
from nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    GaussianNLLLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    PoissonNLLLoss,
    SmoothL1Loss,
)
from nn.margin_loss import CosineEmbeddingLoss, HingeEmbeddingLoss, MarginRankingLoss, TripletMarginLoss
from nn.module import Module, Parameter
from nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    LayerNorm,
    RMSNorm,
)
from nn.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    MaxOverTime,
    MaxPool1d,
    MaxPool2d,
    MeanOverTime,
)
from nn.positional import LearnedPositionalEmbedding, RotaryEmbedding, SinusoidalPositionalEncoding
from nn.rnn import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from nn.transformer import (
    DecoderCache,
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
