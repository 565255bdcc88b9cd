"""matmul and einsum, for every rank and equation numpy accepts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad.tensor import Tensor
from tests.support.strategies import LAYOUTS, laid_out


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@given(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=3, min_side=0), st.data())
def test_matmul_of_all_ranks(shapes, data):
    arrays = [numbers(*shape) for shape in shapes.input_shapes]
    a, b = (Tensor(laid_out(x, data.draw(st.sampled_from(LAYOUTS))), requires_grad=True) for x in arrays)
    expected = np.matmul(*arrays)
    y = a @ b
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected, rtol=1e-10, atol=1e-12)
    mg.gradcheck(mg.matmul, [a, b])


EQUATIONS = [
    ("i,i", [(3,), (3,)]),
    ("i,j", [(2,), (3,)]),
    ("ij->", [(2, 3)]),
    ("ij->j", [(2, 3)]),
    ("ji", [(2, 3)]),  # implicit output: sorted letters, so a transpose
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ij,kj->ik", [(2, 3), (4, 3)]),
    ("ij,ij->ij", [(2, 3), (2, 3)]),
    ("ii", [(3, 3)]),
    ("ii->i", [(3, 3)]),
    ("iii->i", [(2, 2, 2)]),
    ("iij,j->i", [(2, 2, 3), (3,)]),
    ("ij,jj->i", [(2, 3), (3, 3)]),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
    ("bij,jk->bik", [(2, 3, 4), (4, 5)]),
    ("bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)]),
    ("...ij,...jk->...ik", [(2, 1, 3, 4), (3, 4, 5)]),
    ("...i,...i", [(2, 3), (2, 3)]),
    ("...ij", [(2, 3, 4)]),
    ("i...->...", [(3, 2, 2)]),
    ("...->...", [(2, 3)]),
    ("...,...", [(2, 1), (3,)]),
    ("i...j,j...->i...", [(2, 3, 4), (4, 3)]),
    ("ab,bc,cd->ad", [(2, 3), (3, 4), (4, 2)]),
    ("ab,ac,ad->bcd", [(2, 3), (2, 2), (2, 4)]),
    ("i,i,i->i", [(3,), (3,), (3,)]),
    ("ij,k->", [(2, 3), (4,)]),
    (",->", [(), ()]),
    (",ij->ij", [(), (2, 3)]),
    ("ij , jk -> k i", [(2, 3), (3, 4)]),
    ("aB,Bc->ac", [(2, 3), (3, 4)]),
    ("ij,jk->ik", [(0, 3), (3, 2)]),
    ("ij,jk->ik", [(2, 0), (0, 3)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS, ids=[f"{e} {s}" for e, s in EQUATIONS])
def test_einsum(equation, shapes):
    arrays = [numbers(*shape) for shape in shapes]
    inputs = [Tensor(np.asarray(x), requires_grad=True) for x in arrays]
    expected = np.einsum(equation, *arrays)
    y = mg.einsum(equation, *inputs)
    assert y.shape == np.shape(expected)
    np.testing.assert_allclose(y.data, expected, rtol=1e-10, atol=1e-12)
    mg.gradcheck(lambda *x: mg.einsum(equation, *x), inputs)


@given(st.data())
def test_einsum_of_random_equations(data):
    sizes = dict(zip("abcd", (2, 3, 1, 2), strict=True))
    terms = data.draw(st.lists(st.text("abcd", min_size=1, max_size=3), min_size=1, max_size=3))
    letters = sorted(set("".join(terms)))
    output = "".join(data.draw(st.lists(st.sampled_from(letters), unique=True)))
    equation = ",".join(terms) + data.draw(st.sampled_from(["", f"->{output}"]))
    arrays = [numbers(*(sizes[c] for c in term)) for term in terms]
    y = mg.einsum(equation, *map(Tensor, arrays))
    expected = np.einsum(equation, *arrays)
    assert y.shape == np.shape(expected)
    np.testing.assert_allclose(y.data, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("equation", "shapes", "message"),
    [
        ("ij,jk->ik", [(2, 3)], "names 2 operands, 1 were given"),
        ("ij->i", [(2, 3, 4)], r"'ij' names 2 dimensions of an operand of shape \(2, 3, 4\)"),
        ("ij,jk->ik", [(2, 3), (4, 5)], "letter 'j' has size 3 and 4"),
        ("ij->k", [(2, 3)], r"the output names \['k'\]"),
        ("ij->ii", [(2, 3)], "the output names a letter twice"),
    ],
)
def test_einsum_refuses(equation, shapes, message):
    with pytest.raises(ValueError, match=message):
        mg.einsum(equation, *(mg.zeros(*shape) for shape in shapes))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: mg.zeros(3, 4) @ mg.zeros(5, 6),
            ValueError,
            r"matmul: \(3, 4\) @ \(5, 6\): inner dimensions 4 and 5 differ",
        ),
        (lambda: mg.zeros(3) @ mg.zeros(4), ValueError, r"\(3,\) @ \(4,\): inner dimensions 3 and 4 differ"),
        (lambda: mg.zeros(3) @ mg.zeros(()), ValueError, "0-d operand; multiply with"),
        (lambda: mg.zeros(2, 3, 4) @ mg.zeros(3, 4, 5), ValueError, r"matmul.*\(2, 3, 4\)"),
        (lambda: mg.zeros(2, 2) @ mg.zeros(2, 2, dtype=np.float64), TypeError, "float32 @ float64.*astype"),
        (
            lambda: mg.linear(mg.zeros(2, 3), mg.zeros(5, 4)),
            ValueError,
            r"x \(2, 3\) with weight \(5, 4\).*in_features = 4",
        ),
        (lambda: mg.linear(mg.zeros(2, 4), mg.zeros(5, 4), mg.zeros(4)), ValueError, r"bias \(4,\).*expected \(5,\)"),
        (lambda: mg.linear(mg.zeros(2, 4), mg.zeros(5, 4), activation="swish"), ValueError, "swish"),
    ],
)
def test_shape_and_dtype_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()
