"""Names of PySlowFast's older files, which Caffe2 wrote."""

import re

LEAVES = {"weight": "w", "bias": "b"}
NORM_LEAVES = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}
BOOKKEEPING = r"(^|_)(momentum|lr|model_iter)$"
BLOCK = r"s(\d)\.pathway([01])_res(\d+)\.(branch1|branch2\.[abc])"
NORM = r"(.*)(?:\.|_)bn"


def from_caffe2(state_dict, keys):
    """The arrays of a Caffe2 file under the names that PySlowFast's models have.

    A state dict of PySlowFast is returned as it is. What the optimizer needs is left out.

    Args:
        state_dict: `{key: array}`.
        keys: Names of all weights of the model.
    """
    if "pred_w" not in state_dict:
        return state_dict
    last = {}  # number of the last block of a stage; the lateral connections are named by it
    for key in keys:
        if match := re.match(BLOCK, key):
            last[match[1]] = max(last.get(match[1], 0), int(match[3]))
    names = {caffe2_key(key, last): key for key in keys}
    return {
        names.get(key, key): value
        for key, value in state_dict.items()
        if not re.search(BOOKKEEPING, key)
    }


def caffe2_key(key, last):
    """`s4.pathway1_res2.branch2.a_bn.bias` is `t_res4_2_branch2a_bn_b`.

    Args:
        key: Name in PySlowFast.
        last: `{stage: number of its last block}`, both as in `key`.
    """
    module, _, leaf = key.rpartition(".")
    norm = re.fullmatch(NORM, module)
    place = _place(norm[1] if norm else module.removesuffix(".conv"), bool(norm), last)
    return f"{place}_bn_{NORM_LEAVES[leaf]}" if norm else f"{place}_{LEAVES[leaf]}"


def _place(module, norm, last):
    if module == "head.projection":
        return "pred"
    if match := re.fullmatch(r"s(\d)_fuse(\.conv_f2s)?", module):
        stage = match[1]
        before = "pool1" if stage == "1" else f"res{stage}_{last[stage]}_branch2c_bn"
        return f"t_{before}_subsample"
    if match := re.fullmatch(BLOCK, module):
        stage, pathway, block, branch = match.groups()
        name = f"res{stage}_{block}_{branch.replace('.', '')}"
    else:
        pathway = re.fullmatch(r"s1\.pathway([01])_stem", module)[1]
        name = "res_conv1" if norm else "conv1"
    return f"t_{name}" if pathway == "1" else name
