"""The cases of head.py, without PyTorch."""

# [N, K, S] features, C classes, dtype of features and weights.
CASES = [
    ((1, 32, 117, 128**3), "float32"),
    ((1, 64, 117, 128**3), "float32"),
    ((1, 32, 19, 128**3), "float32"),
    ((1, 64, 19, 128**3), "float32"),
    ((1, 32, 117, 128**3), "float16"),
    ((1, 32, 117, 128**3), "bfloat16"),
    ((1, 64, 19, 128**3), "float16"),
    ((1, 64, 19, 128**3), "bfloat16"),
]


def name_of(case):
    (N, K, C, S), dtype = case
    return f"head [{N},{K}->{C},{S}] softmax {dtype}"


def is_head(name):
    return name.startswith("head ")


def tolerance_of(case, contender):
    """Of a gradient, as a share of its largest element; of the value a tenth of that. In half precision PyTorch rounds the logits and
    their gradient to it, which is less exact than what is asked of all others."""
    rounds = case[1] != "float32" and contender != "warpdice"
    return 0.02 if rounds else 1e-4


def flop_of(case):
    """Of four products: the logits in each of the two passes, and the gradients of features and weights. Everybody's time is divided by
    the same number, though PyTorch makes the logits once."""
    (N, K, C, S), _ = case
    return 8 * N * K * C * S
