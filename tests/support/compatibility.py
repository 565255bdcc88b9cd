"""The README's section on PyTorch: which of its names are here, what differs, what is absent.

    python -m tests.support.compatibility           writes the section into README.md
    python -m tests.support.compatibility --names   first lists PyTorch's names again, from the one that is installed

The list (tests/support/torch_names.json) is names only. What differs is in tests/support/differences.py, where each
claim is run.
"""

import importlib
import inspect
import json
import re
import sys
import textwrap
from pathlib import Path

from tests.support.differences import DIFFERENCES

ROOT = Path(__file__).parent.parent.parent
NAMES = Path(__file__).parent / "torch_names.json"
START = "<!-- compatibility: written by python -m tests.support.compatibility -->"
END = "<!-- end of compatibility -->"

# PyTorch's module -> where its names are here, and how a reader writes them.
NAMESPACES = {
    "torch": ("minigrad", "`mg.` functions"),
    "torch.Tensor": ("minigrad:Tensor", "methods of `Tensor`"),
    "torch.nn": ("nn", "`nn.` layers and losses"),
    "torch.nn.functional": ("nn.functional", "`F.` functions"),
    "torch.nn.init": ("nn.init", "`nn.init.`"),
    "torch.optim": ("nn.optim", "`optim.`"),
    "torch.optim.lr_scheduler": ("nn.optim.lr_scheduler", "`lr_scheduler.`"),
}

# What a whole group of PyTorch's names is for; the first pattern that fits a name decides.
GROUPS = {
    "backends, compilation, quantisation, sparse and nested tensors": (
        r"cudnn|mkldnn|miopen|fbgemm|quant|sparse|coalesce|nested|jagged|_copy$|dequant|fake_|vulkan|compile|cond$|"
        r"named_tensor|^sym_|^q_|^int_repr|crow|ccol|^col_indices|^row_indices|^indices$|^values$|hspmm|sspaddmm|smm$|"
        r"deterministic|_threads|warn_always|flush|matmul_precision|^vmap|^autocast|while_loop|^dynamo|^lazy|^Lazy|"
        r"share_memory|is_shared|storage|names?$|^align_|^refine|_sym$|xpu|mtia|hpu|ipu|pin|record_stream|^to_|^Sync|"
        r"^DataParallel|grad_dtype|^is_(vulkan|meta|maia|xla)|module_load|dlpack|default_device|gradgrad"
    ),
    "complex numbers, Fourier and window functions": (
        r"complex|conj|^real$|^imag|^angle|^polar|fft|window|^H$|^mH$|^adjoint|is_neg|resolve|isreal|cfloat|cdouble|"
        r"chalf|^chalf"
    ),
    "linear algebra beyond products": (
        r"chol|^lu|^LU|svd|^qr|^eig|^inverse|^pinv|det$|logdet|lstsq|matrix_exp|triangular|geqrf|orgqr|ormqr|lobpcg|"
        r"householder|^pca|^chain_matmul|linalg|vander|^cov$|corrcoef|renorm|^dist$|addbmm|addr$|trapz|trapezoid"
    ),
    "special functions": r"gamma|polygam|^i0|^i1|erfc|erfinv|sinc|^bessel|^ndtr|igamma|lgamma|mvlgamma|special",
    "other random distributions": r"poisson|binomial|cauchy|exponential|geometric|log_normal|dirichlet|random_$|gumbel",
    "images and volumes": (
        r"2d|3d|[Pp]ixel|[Ff]old|[Gg]rid|affine_grid|[Ii]nterpolate|[Uu]psampl|^channel|[Cc]hannelShuffle|native|"
        r"[Uu]npool|Pad1d|[Cc]onv.*1d|[Pp]ool1d|[Dd]ropout1d|[Nn]orm1d"
    ),
    "in-place forms": r"_$",
}


def torch_names() -> dict[str, list[str]]:
    """PyTorch's public names, from the installed one."""
    torch = importlib.import_module("torch")
    overridable = torch.overrides.get_overridable_functions()
    functions = {f.__name__ for module in (torch, torch.functional) for f in overridable[module]}
    functions |= {n for n in torch.__all__ if inspect.isroutine(getattr(torch, n, None))} | {"Generator", "device"}
    found = {
        "torch": sorted(n for n in functions if hasattr(torch, n)),
        "torch.Tensor": [n for n in dir(torch.Tensor) if not hasattr(object, n)],
    }
    for name in list(NAMESPACES)[2:]:
        module = importlib.import_module(name)
        wanted = inspect.isroutine if name in ("torch.nn.functional", "torch.nn.init") else inspect.isclass
        found[name] = [
            n
            for n, value in vars(module).items()
            if wanted(value) and (getattr(value, "__module__", None) or "torch").startswith("torch")
        ]
    internal = re.compile(
        r"^_|^(Any|Tensor|Optimizer|Parameter|Container|reinforce|volatile|solve|symeig|output_nr|new|fork|wait|range)$|"
        r"has_torch|handle_torch|assert_|boolean_disp|^vf$|parse_|import_ir|merge_type|unify_type|autocast|anomaly|thread_safe|"
        r"from_file|batch_norm_|choose_q|empty_(perm|str)|device_module|vital|jit|script|Uninitialized|LossOptions|"
        r"CrossEntropyOptions|hash_tensor|hook_|_cell$|norm_except|saddmm|slice_inverse|const_data|dense_dim|dim_order|"
        r"is_set_to|qscheme|set_default_tensor|constant_pad_nd|(scaled|grouped)_|as_subclass|is_distributed|"
        r"^(constant|dirac|eye|kaiming_normal|kaiming_uniform|orthogonal|uniform|xavier_normal|xavier_uniform)$"
    )
    kept = {name: sorted({n for n in names if not internal.search(n)}) for name, names in found.items()}
    kept["torch"] = sorted({*kept["torch"], "eye"})
    return kept


def ours(place: str) -> object:
    """The module or class of ours."""
    module, _, attribute = place.partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def compared() -> dict[str, tuple[list[str], list[str]]]:
    """For each of PyTorch's modules, its names that are here, and those that are not."""
    result = {}
    for name, names in json.loads(NAMES.read_text(encoding="utf-8")).items():
        place = ours(NAMESPACES[name][0])
        here = [n for n in names if n == "bfloat16" or hasattr(place, n)]
        result[name] = here, [n for n in names if n not in here]
    return result


def grouped(names: list[str]) -> dict[str, list[str]]:
    """Absent names by what they are for."""
    groups: dict[str, list[str]] = {}
    for n in names:
        group = next((title for title, pattern in GROUPS.items() if re.search(pattern, n)), "others")
        groups.setdefault(group, []).append(n)
    return groups


def section() -> str:
    """The text between the markers."""
    found = compared()
    lines = ["| PyTorch | here | of |", "|---|---|---|"]
    lines += [
        f"| {NAMESPACES[name][1]} | {len(here)} | {len(here) + len(gone)} |" for name, (here, gone) in found.items()
    ]
    lines += ["", "What differs, and why (each line is run as a test):", ""]
    lines += [line for each in DIFFERENCES for line in wrapped(f"- {each.what}: {each.why}.", "  ")]
    lines += ["", "<details><summary>The names that are here</summary>", ""]
    for name, (here, _) in found.items():
        lines += [f"**{name}**", "", *wrapped(" ".join(f"`{n}`" for n in here)), ""]
    lines += ["</details>", "", "<details><summary>The names that are absent</summary>", ""]
    absent: dict[str, list[str]] = {}
    for name, (_, gone) in found.items():
        prefix = "" if name == "torch" else name.removeprefix("torch.").rpartition(".")[2] + "."
        for group, names in grouped(gone).items():
            absent.setdefault(group, []).extend(prefix + n for n in names)
    for group in [*GROUPS, "others"]:
        if group in absent:
            lines += [f"**{group}**", "", *wrapped(" ".join(f"`{n}`" for n in absent[group])), ""]
    return "\n".join([*lines, "</details>"])


def wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, 118, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def with_section(readme: str) -> str:
    """The README with the section as it should be."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{section()}\n\n{END}{after}"


if __name__ == "__main__":
    if "--names" in sys.argv:
        NAMES.write_text(json.dumps(torch_names(), indent=1) + "\n", encoding="utf-8")
    path = ROOT / "README.md"
    path.write_text(with_section(path.read_text(encoding="utf-8")), encoding="utf-8")
