"""TeX formulas as plain text, for a terminal: $\\frac{\\partial L}{\\partial w_i}$ becomes ∂L/∂wᵢ."""

import re

SYMBOLS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "varepsilon": "ε", "eta": "η", "theta": "θ", "mu": "μ",
    "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "Delta": "Δ", "partial": "∂", "sum": "Σ",
    "prod": "Π", "nabla": "∇", "kappa": "κ", "lambda": "λ", "omega": "ω",
    "cdot": "·", "times": "×", "odot": "⊙", "pm": "±", "le": "≤", "ge": "≥", "ne": "≠", "approx": "≈", "to": "→",
    "infty": "∞", "in": "∈", "top": "ᵀ", "ldots": "…", "cdots": "⋯", "quad": "   ", "log": "log", "ln": "ln",
    "exp": "exp", "max": "max", "sin": "sin", "cos": "cos", "tanh": "tanh", "left": "", "right": "", "lVert": "‖",
    "rVert": "‖", "qquad": "      ", "mapsto": "↦", "Rightarrow": "⇒", "lfloor": "⌊", "rfloor": "⌋", "mid": "|",
    "min": "min", "oplus": "⊕", "bmod": "mod",
}  # fmt: skip
UP = dict(zip("0123456789+-=()ijkntxyzT", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁱʲᵏⁿᵗˣʸᶻᵀ", strict=True))
DOWN = dict(
    zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True)
)


def plain(markdown: str) -> str:
    """Markdown with its $formulas$ in plain characters, and displayed $$formulas$$ indented on lines of their own."""
    markdown = re.sub(
        r"\$\$(.+?)\$\$", lambda m: f"\n    {_formula(m[1])}\n", markdown, flags=re.DOTALL
    )
    return re.sub(r"\$([^$\n]+)\$", lambda m: f"`{_formula(m[1])}`", markdown)


def _formula(tex: str) -> str:
    tex = " ".join(tex.split())
    tex = re.sub(r"\\(?:text|mathrm|mathbf|operatorname)\{([^{}]*)\}", r"\1", tex)
    tex = re.sub(r"\\[,;:! ]", " ", tex).replace(r"\{", "❴").replace(r"\}", "❵")
    tex = re.sub(r"\\([A-Za-z]+)", _symbol, tex).replace("∂ ", "∂")
    for _ in range(3):  # from the inside out
        tex = re.sub(r"([_^])(?:\{([^{}]*)\}|(\w|[^\s\w{}]))", _script, tex)
        tex = re.sub(
            r"\\frac\{([^{}]*)\}\{([^{}]*)\}",
            lambda m: f"{_grouped(m[1])}/{_grouped(m[2])}",
            tex,
        )
        tex = re.sub(r"\\sqrt\{([^{}]*)\}", lambda m: f"√{_grouped(m[1])}", tex)
    tex = tex.replace("{", "").replace("}", "").replace("❴", "{").replace("❵", "}")
    tex = tex.replace("‗", "_").replace("ˆ", "^")
    return re.sub(r" {2,}", lambda m: "   " if len(m[0]) > 2 else " ", tex).strip()


def _symbol(match) -> str:
    name = match[1]
    return f"\\{name}" if name in ("frac", "sqrt") else SYMBOLS.get(name, match[0])


def _script(match) -> str:
    sign, text = match[1], match[2] if match[2] is not None else match[3]
    table = UP if sign == "^" else DOWN
    if text in ("ᵀ", "'"):
        return text
    if all(c in table for c in text.replace(" ", "")):
        return "".join(table[c] for c in text.replace(" ", ""))
    sign = "‗" if sign == "_" else "ˆ"  # so that the next round does not take it for another script
    return f"{sign}{text if len(text) == 1 else f'({text})'}"


def _grouped(text: str) -> str:
    return f"({text})" if re.search(r"[ +\-·]", text.strip()) else text
