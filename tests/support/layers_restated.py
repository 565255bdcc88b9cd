"""Layers that PyTorch does not have, written with its operations, for the table of cases."""

import torch
from torch import nn


class AdditiveAttention(nn.Module):
    def __init__(self, query_dim, key_dim, hidden_dim):
        super().__init__()
        self.query_proj = nn.Linear(query_dim, hidden_dim, bias=False)
        self.key_proj = nn.Linear(key_dim, hidden_dim, bias=False)
        self.score_proj = nn.Linear(hidden_dim, 1, bias=False)

    def forward(self, query, key, value=None, key_padding_mask=None):
        scores = [self.score_proj(torch.tanh(self.query_proj(q) + self.key_proj(k)))[:, 0]
                  for b, k in enumerate(key) for q in query[b]]  # fmt: skip
        return attend(torch.stack(scores).reshape(*query.shape[:2], -1), key, value, key_padding_mask)


class GeneralAttention(nn.Module):
    def __init__(self, query_dim, key_dim):
        super().__init__()
        self.key_proj = nn.Linear(key_dim, query_dim, bias=False)

    def forward(self, query, key, value=None, key_padding_mask=None):
        scores = torch.einsum("bqi,ij,bkj->bqk", query, self.key_proj.weight, key)
        return attend(scores, key, value, key_padding_mask)


class DotProductAttention(nn.Module):
    def __init__(self, scaled=False):
        super().__init__()
        self.scaled = scaled

    def forward(self, query, key, value=None, key_padding_mask=None):
        scores = torch.einsum("bqi,bki->bqk", query, key)
        return attend(scores / query.shape[-1] ** 0.5 if self.scaled else scores, key, value, key_padding_mask)


def attend(scores, key, value, mask):
    if mask is not None:
        scores = scores.masked_fill(mask[:, None], -torch.inf)
    weights = torch.softmax(scores, -1)
    return weights @ (key if value is None else value), weights


class MaxOverTime(nn.Module):
    def forward(self, x, padding_mask=None):
        rows = [row if padding_mask is None else row[~padding_mask[b]] for b, row in enumerate(x)]
        return torch.stack([row.amax(0) for row in rows])


class MeanOverTime(nn.Module):
    def forward(self, x, padding_mask=None):
        rows = [row if padding_mask is None else row[~padding_mask[b]] for b, row in enumerate(x)]
        return torch.stack([row.mean(0) for row in rows])
