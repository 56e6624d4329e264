import torch
from torch.nn.functional import scaled_dot_product_attention

from itkm_core.learning.precision import forward_in

CPU = torch.device("cpu")


def attend(precision):
    query = torch.ones(2, 4, 8, 16, requires_grad=True)
    with forward_in(precision, CPU):
        out = scaled_dot_product_attention(*[query @ torch.eye(16)] * 3)
    after = scaled_dot_product_attention(*[query.bfloat16()] * 3)
    return out, after


def fused(node):
    """Whether attention's own backward pass is among the nodes that lead to this one."""
    if node is None:
        return False
    return "ScaledDotProduct" in node.name() or any(fused(each) for each, _ in node.next_functions)


def test_bf16_is_autocast_without_the_slow_attention_and_ends_with_the_block():
    out, after = attend("bf16")
    assert out.dtype == torch.bfloat16
    assert not fused(out.grad_fn)
    assert fused(after.grad_fn)


def test_fp32_changes_nothing():
    out, _ = attend("fp32")
    assert out.dtype == torch.float32
    assert fused(out.grad_fn)
