"""The default signature of a logged twin: the columns of a request, all optional, and its params with their defaults.

A signature is written down rather than inferred from an example: an inferred one makes every column of the example
required and drops params, and a param that the signature lacks never reaches `predict`. Outputs differ by task, so
the output schema is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

COLUMNS = {"image": "binary", "text": "string", "role": "string", "label": "string", "pair": "string"}
PARAMS: dict[str, tuple[str, Any]] = {  # name → type, default
    "task": ("string", "classify"),
    "method": ("string", None),  # None: the logged support's, else prototypes
    "top": ("long", 5),
    "threshold": ("double", None),  # None: the model's own, if it has one
    "reject": ("boolean", False),
}


def default_signature() -> ModelSignature:
    """What a request may hold.

    Returns:
        Optional columns `image` (encoded bytes), `text`, `role` ("support" or "query"), `label` and `pair` (rows with
        one value are compared); params `task` ("classify", "embed", "search", "verify"), `method` (a few-shot
        classifier), `top`, `threshold` and `reject`.

    Example:
        >>> signature = default_signature()
        >>> signature.inputs.input_names()
        ['image', 'text', 'role', 'label', 'pair']
        >>> [(each.name, each.default) for each in signature.params][:2]
        [('task', 'classify'), ('method', None)]
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    return ModelSignature(
        inputs=Schema([ColSpec(DataType[kind], name, required=False) for name, kind in COLUMNS.items()]),
        params=ParamSchema([ParamSpec(name, DataType[kind], default) for name, (kind, default) in PARAMS.items()]),
    )
