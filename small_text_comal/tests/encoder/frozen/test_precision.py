import doctest

import torch

from small_text_comal.encoder.frozen import precision as precision_module
from small_text_comal.encoder.frozen.precision import Precision


def product_dtype():
    return (torch.ones(1, 1) @ torch.ones(1, 1)).dtype


def test_docstring_examples():
    assert doctest.testmod(precision_module).failed == 0


def test_it_is_a_value():
    assert Precision("cpu", torch.float16, enabled=True) == Precision("cpu", torch.float16, enabled=True)
    assert Precision() != Precision(enabled=True)


def test_when_disabled_the_callers_own_context_stays():
    with torch.autocast("cpu", dtype=torch.bfloat16), Precision("cpu", torch.bfloat16).autocast():
        assert product_dtype() == torch.bfloat16
    with Precision().autocast():
        assert product_dtype() == torch.float32
