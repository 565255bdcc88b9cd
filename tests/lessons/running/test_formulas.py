"""Formulas in the terminal."""

import re

import pytest

from lessons.running.catalogue import lessons
from lessons.running.formulas import plain


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"$\frac{\partial L}{\partial w_i}$", "`∂L/∂wᵢ`"),
        (r"$\frac{f(x + h) - f(x)}{h}$", "`(f(x + h) - f(x))/h`"),
        (r"$s_k = \prod_{l > k} n_l$", "`sₖ = Π_(l > k) nₗ`"),
        (r"$e^{x_i - x_j}$", "`e^(xᵢ - xⱼ)`"),
        (r"$G B^\top$", "`G Bᵀ`"),
        (r"$10^{-16}$", "`10⁻¹⁶`"),
        (r"$f'(x) \to 0$", "`f'(x) → 0`"),
        ("costs $5 and more", "costs $5 and more"),
        ("$$ a \\cdot b $$", "\n    a · b\n"),
    ],
)
def test_plain(tex, text):
    assert plain(tex) == text


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.path.stem)
def test_no_tex_is_left_in_a_lesson(lesson):
    for cell in lesson.cells:
        if cell.kind == "markdown":
            shown = plain(cell.text)
            assert not re.search(r"\\[a-zA-Z]|\$", shown), f"line {cell.line}: {shown}"
