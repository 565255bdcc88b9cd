"""Weights in the layout of the transformers library, turned into ours.

GPT-2 (transformers' GPT2LMHeadModel) keeps its linear weights as (in, out): its Conv1D layers. They
are transposed on the way.
"""

import json
import os
import re
from pathlib import Path

import numpy as np

import minigrad as mg
from minigrad.tensor import unwrap
from models.errors import UserError

# transformers' name -> (ours, whether it is transposed), below a block ...
BLOCK = {
    "ln_1.weight": ("norm_1.weight", False),
    "ln_1.bias": ("norm_1.bias", False),
    "attn.c_attn.weight": ("attention.in_proj_weight", True),
    "attn.c_attn.bias": ("attention.in_proj_bias", False),
    "attn.c_proj.weight": ("attention.out_proj.weight", True),
    "attn.c_proj.bias": ("attention.out_proj.bias", False),
    "ln_2.weight": ("norm_2.weight", False),
    "ln_2.bias": ("norm_2.bias", False),
    "mlp.c_fc.weight": ("mlp.expand.weight", True),
    "mlp.c_fc.bias": ("mlp.expand.bias", False),
    "mlp.c_proj.weight": ("mlp.project.weight", True),
    "mlp.c_proj.bias": ("mlp.project.bias", False),
}
# ... and at the top.
TOP = {
    "wte.weight": "token_embedding.weight",
    "wpe.weight": "position_embedding.weight",
    "ln_f.weight": "final_norm.weight",
    "ln_f.bias": "final_norm.bias",
}
MASKS = ("attn.bias", "attn.masked_bias")  # the causal mask, which old files carry along

# Settings of config.json for which this GPT has one value only.
FIXED = {
    "model_type": ("gpt2",),
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "layer_norm_epsilon": (1e-5,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
    "tie_word_embeddings": (True,),
}


def gpt2_weights(source: str | os.PathLike | dict, num_heads: int | None = None) -> tuple[dict, dict]:
    """(the fields of a GPTConfig, a state_dict of GPT) from GPT-2's weights. See GPT.from_huggingface."""
    settings = {}
    if not isinstance(source, dict):
        path = Path(source).expanduser()
        path = path / "model.safetensors" if path.is_dir() else path
        settings = _settings(path.with_name("config.json"))
        source = _tensors(path)
    arrays = {name.removeprefix("transformer."): np.asarray(unwrap(value)) for name, value in source.items()}
    embedding, positions = _embeddings(arrays)
    weights = _renamed(arrays, embedding)
    fields = {
        "vocab_size": embedding.shape[0],
        "context_length": positions.shape[0],
        "num_layers": len({name.split(".")[1] for name in weights if name.startswith("blocks.")}),
        "num_heads": num_heads or settings.get("n_head"),
        "embedding_dim": embedding.shape[1],
    }
    if fields["num_heads"] is None:
        raise UserError(
            "the weights do not say how many attention heads there are: pass num_heads, or put config.json beside them"
        )
    return fields, weights


def _settings(path: Path) -> dict:
    """config.json, if it is there, after a check that the model it describes is this GPT."""
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from None
    problems = [
        f"{name} is {settings[name]!r}, only {' or '.join(map(repr, possible))} is supported"
        for name, possible in FIXED.items()
        if name in settings and settings[name] not in possible
    ]
    n_inner, n_embd = settings.get("n_inner"), settings.get("n_embd")
    if n_inner is not None and n_embd is not None and n_inner != 4 * n_embd:
        problems.append(f"n_inner is {n_inner}, only 4·n_embd = {4 * n_embd} is supported")
    if problems:
        raise UserError(f"{path}: not a model that GPT can be: {'; '.join(problems)}")
    return settings


def _tensors(path: Path) -> dict:
    try:
        return mg.load(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected a directory with model.safetensors, or that file") from None
    except ValueError as error:
        raise UserError(str(error)) from None


def _embeddings(arrays: dict) -> tuple[np.ndarray, np.ndarray]:
    """The token and the position embedding, from which most sizes are read."""
    missing = [name for name in ("wte.weight", "wpe.weight") if name not in arrays or arrays[name].ndim != 2]
    if missing:
        raise UserError(f"these are not the weights of a GPT-2: no matrix {' or '.join(missing)}")
    return arrays["wte.weight"], arrays["wpe.weight"]


def _renamed(arrays: dict, embedding: np.ndarray) -> dict:
    """Our names and layouts. Raises UserError listing what has no place."""
    weights, problems = {}, []
    for name, array in arrays.items():
        block = re.fullmatch(r"h\.(\d+)\.(.+)", name)
        if name in TOP:
            weights[TOP[name]] = array
        elif block and block[2] in BLOCK:
            ours, transposed = BLOCK[block[2]]
            weights[f"blocks.{block[1]}.{ours}"] = array.T if transposed else array
        elif name == "lm_head.weight":
            if not np.array_equal(array, embedding):
                problems.append("lm_head.weight differs from wte.weight (this GPT's head is tied)")
        elif not (block and block[2] in MASKS):
            problems.append(f"unexpected: {name} {array.shape}")
    if problems:
        raise UserError(f"these are not the weights of a GPT-2: {'; '.join(problems)}")
    return weights
