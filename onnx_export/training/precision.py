"""Where matrix products are made in bfloat16: on processors that multiply it, four times as fast as float32.

Weights, residual streams, norms and losses stay float32; only the operands of a product are rounded. Only training
steps do this: codes and evaluation are made in float32 everywhere.
"""

import torch


def bfloat16() -> torch.autocast:
    """Products in bfloat16 where the processor has them; emulated, they would be slower than float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=bool(torch.cpu._is_avx512_bf16_supported()))
