"""Gaussian random walk (GRW) smoothing loss."""

import functools
import itertools
import math
import random
from typing import Any, Literal

import numpy as np
from keras import ops

from keras_vidreg._arguments import check_integer, check_number, received

# All orders are listed up to this window ((T-1)! = 5040 columns) ...
MAX_LISTED_WINDOW = 8
# ... and summed by dynamic programming up to this one (253,440 transitions per window).
MAX_EXACT_WINDOW = 12

# Logarithm of "no order ends here". Finite, so that its gradient is zero and not NaN.
_LOG_ZERO = -1e38


def grw_smoothing_loss(
    z: Any,
    window: int,
    alpha: float = 0.5,
    permutations: Literal["all"] | int = "all",
    *,
    seed: int = 0,
) -> Any:
    r"""Loss that is small where the right order of the frames is their smoothest order.

    Embeddings are cut into windows of `T = window` frames `z_0 .. z_{T-1}`. An order `pi` that
    keeps the first frame has the acceleration energy

    ```
    E(pi) = sum_t |z_pi(t+2) - 2 z_pi(t+1) + z_pi(t)|^2
    ```

    and the loss is the mean over windows of

    ```
    -log softmax_pi(-E(pi) / 2)[identity]  +  alpha * 1/2 * sum_t |z_{t+1} - z_t|^2
    ```

    `E` is linear in the Gram matrix of the window, so that no permuted copy of the embeddings
    is made. The first term does not change under a translation or rotation of the embeddings.
    It is computed in float32 whatever the dtype of `z`.

    Args:
        z: Embeddings of shape `(B, N, K)`: batch, frames in order of time, features.
            `N` must be a multiple of `window`.
        window: Integer of at least 3, frames per window, `T`.
        alpha: Float of at least 0, the weight of the velocity term. Defaults to `0.5`.
        permutations: `"all"`, the exact sum over all `(T-1)!` orders, for `T <= 12` (from `T = 9`
            on, about 5 MB per window of 12 frames are kept for the gradient); or a number of
            orders, at least 2: the identity and a sample of different other ones. A number of
            `(T-1)!` or more is the same as all of them. Defaults to `"all"`.
        seed: Integer that the sample of orders is drawn from. The same seed gives the same
            orders in every call. Defaults to `0`.

    Returns:
        A scalar float32 tensor.

    Raises:
        ValueError: If `z` is not of rank 3, if `N` is not a multiple of `window`, if `window < 3`,
            if `alpha` is negative, or if `permutations` is neither `"all"` nor a number `>= 2`,
            or is `"all"` for a window above 12.

    Example:

    >>> z = keras.random.normal((2, 10, 16))
    >>> loss = kv.losses.grw_smoothing_loss(z, window=5)

    Reference:
        Goldman, Giryes and Satyanarayanan, "Smooth Regularization for Efficient Video
        Recognition", NeurIPS 2025, arXiv:2511.20928; `loss.py` of cmusatyalab/grw-smoothing.
    """
    window, alpha, permutations = check_grw_arguments(window, alpha, permutations)
    z = ops.cast(ops.convert_to_tensor(z), "float32")
    if len(z.shape) != 3:
        raise ValueError(
            f"`z` must have the shape (batch, frames, features). Received: z.shape={tuple(z.shape)}"
        )
    check_frames(z.shape[1], window)
    batch, _, features = ops.shape(z)
    # The batch axis stays on its own, so that a window never crosses from one clip to the next.
    z = ops.reshape(z, (batch, -1, window, features))  # (B, N/T, T, K)
    # Distances from the first frame are exact where frames are close and far from the origin.
    z = z - z[:, :, :1]
    loss = _order_nll(_gram(z), window, permutations, seed)
    if alpha > 0:
        velocity = z[:, :, 1:] - z[:, :, :-1]  # (B, N/T, T-1, K)
        loss = loss + 0.5 * alpha * ops.reshape(ops.sum(ops.square(velocity), axis=(2, 3)), (-1,))
    return ops.mean(loss)


def check_grw_arguments(window, alpha, permutations):
    """Return the three as plain Python values, or raise an error that names what is wrong."""
    window = check_integer("window", window, 3)  # acceleration needs three frames
    alpha = check_number("alpha", alpha, "of at least 0", lambda value: value >= 0)
    if isinstance(permutations, str) and permutations == "all":
        if window > MAX_EXACT_WINDOW:
            raise ValueError(
                f'`permutations="all"` is possible up to window={MAX_EXACT_WINDOW}. Received: '
                f"window={window}. Pass the number of orders to sample, e.g. permutations=1000."
            )
        return window, alpha, permutations
    try:
        return window, alpha, check_integer("permutations", permutations, 2)
    except ValueError:
        raise ValueError(
            '`permutations` must be "all" or an integer of at least 2 (the identity and one '
            f"other order). {received('permutations', permutations)}"
        ) from None


def check_frames(frames, window):
    """Raise an error where the number of frames is known and is not a multiple of the window."""
    if frames is not None and (frames % window or frames == 0):
        cut, more = f"Cut the clip to {frames // window * window}", f"Give clips of {window}"
        raise ValueError(
            f"The number of frames must be a multiple of `window`. Received: {frames} frames and "
            f"window={window}. {cut if frames > window else more} frames, or choose another window."
        )


def _gram(z):
    """Gram matrices `(W, T*T)` of the centred windows of `z`, `(B, N/T, T, K)`."""
    z = z - ops.mean(z, axis=2, keepdims=True)
    window = z.shape[2]
    gram = ops.matmul(z, ops.swapaxes(z, 2, 3))  # (B, N/T, T, T)
    return ops.reshape(gram, (-1, window * window))


def _order_nll(gram, window, permutations, seed):
    """`-log softmax(-E/2)[identity]` of every window, `(W,)`."""
    orders = math.factorial(window - 1)
    if permutations == "all" and window > MAX_LISTED_WINDOW:
        log_odds = _log_odds_dynamic(gram, window)
    elif permutations == "all" or permutations >= orders:
        log_odds = _log_odds_listed(gram, _order_table(window, orders, 0))
    else:
        log_odds = _log_odds_listed(gram, _order_table(window, permutations, seed))
    # softplus(log-odds against the identity) keeps its digits where the loss is near zero.
    return ops.softplus(log_odds)


def _log_odds_listed(gram, table):
    """`log sum_{pi != identity} exp((E(identity) - E(pi)) / 2)`, `(W,)`, by one matmul."""
    return ops.logsumexp(ops.matmul(gram, table), axis=-1)


def _log_odds_dynamic(gram, window):
    """The same sum over all orders, by dynamic programming (Held and Karp, 1962).

    A state is (set of visited frames, last two frames); its value is the logarithm of the sum of
    `exp((E(identity) - E) / 2)` over the prefixes that end there, but for the identity's own
    prefix. That one has the value 0, and is added where an order leaves it.
    """
    triples, steps, start, levels = _dynamic_tables(window)
    costs = ops.matmul(triples.T, ops.transpose(gram))  # -|z_c - 2 z_b + z_a|^2 / 2, (triples, W)
    # Of the level-2 states (0, b, c), the first is (0, 1, 2): the identity's prefix.
    values = ops.take(costs, start, axis=0)
    values = values - values[:1]
    values = ops.concatenate([ops.full_like(values[:1], _LOG_ZERO), values[1:]], axis=0)
    for step, (identity, before, triple) in zip(steps, levels, strict=True):
        leaving = ops.softplus(values[identity : identity + 1])
        values = ops.concatenate([values, leaving], axis=0)
        # (states of the next level, frames that can come before, W)
        terms = ops.take(values, before, axis=0) + ops.take(costs, triple, axis=0)
        values = ops.logsumexp(terms, axis=1) - costs[step : step + 1]
    return ops.logsumexp(values, axis=0)


def _energy_table(orders, window):
    """Columns `-C/2` with `<C, G>` the acceleration energy of each row of `orders`, `(T*T, n)`."""
    frame = np.eye(window, dtype="float32")
    bend = frame[orders[:, 2:]] - 2 * frame[orders[:, 1:-1]] + frame[orders[:, :-2]]
    return (-0.5 * bend.swapaxes(1, 2) @ bend).reshape(len(orders), -1).T  # exact half-integers


@functools.lru_cache(maxsize=16)
def _order_table(window, count, seed):
    """Columns `-(C_pi - C_identity)/2` of `count - 1` different orders, `(T*T, count - 1)`."""
    total = math.factorial(window - 1)
    if count == total:
        orders = [(0, *order) for order in itertools.permutations(range(1, window))]
    else:
        draw = random.Random(seed)
        # dict and not set: the order of the columns is part of what the seed fixes
        ranks = dict.fromkeys(draw.sample(range(1, total), count - 1) if 2 * count > total else ())
        while len(ranks) < count - 1:
            ranks[draw.randrange(1, total)] = None
        orders = [_unrank(rank, window) for rank in (0, *ranks)]
    table = _energy_table(np.array(orders), window)
    table = np.ascontiguousarray(table[:, 1:] - table[:, :1])
    table.flags.writeable = False
    return table


def _unrank(rank, window):
    """The order with this rank in the lexicographic list of those that begin with frame 0."""
    left, order = list(range(1, window)), [0]
    for size in range(window - 2, -1, -1):
        place, rank = divmod(rank, math.factorial(size))
        order.append(left.pop(place))
    return order


@functools.lru_cache(maxsize=4)
def _dynamic_tables(window):
    """Index tables of `_log_odds_dynamic`."""
    frames = range(1, window)
    triples = list(itertools.permutations(range(window), 3))
    triple_index = {triple: i for i, triple in enumerate(triples)}
    pairs = list(itertools.permutations(frames, 2))
    state_index = {(frozenset(pair), *pair): i for i, pair in enumerate(pairs)}
    start = np.array([triple_index[0, b, c] for b, c in pairs], "int32")
    steps, levels = [], []
    for size in range(2, window - 1):  # visited frames, not counting frame 0
        prefix = (frozenset(range(1, size + 1)), size - 1, size)
        next_index: dict[tuple, int] = {}
        before, triple = [], []
        for chosen in map(frozenset, itertools.combinations(frames, size + 1)):
            for b, c in itertools.permutations(chosen, 2):
                next_index[chosen, b, c] = len(next_index)
                visited, sources = chosen - {c}, []
                for a in visited - {b}:
                    leaves = (visited, a, b) == prefix and c != size + 1
                    sources.append(len(state_index) if leaves else state_index[visited, a, b])
                before.append(sources)
                triple.append([triple_index[a, b, c] for a in visited - {b}])
        levels.append((state_index[prefix], np.array(before, "int32"), np.array(triple, "int32")))
        steps.append(triple_index[size - 1, size, size + 1])
        state_index = next_index
    return _energy_table(np.array(triples), window), steps, start, levels
