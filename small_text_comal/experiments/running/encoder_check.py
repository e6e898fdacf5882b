"""Whether an encoder is there and has the layers that are to be frozen, without loading its weights."""

from __future__ import annotations

from small_text_comal.experiments.options.config import EncoderOptions

__all__ = ["check_encoder"]


def check_encoder(options: EncoderOptions) -> None:
    """Read the encoder's own configuration, from its folder or the hub.

    Raises
    ------
    ValueError
        When there is no such encoder, or it has fewer layers than are to be frozen.
    """
    from transformers import AutoConfig

    try:
        found = AutoConfig.from_pretrained(options.model)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"encoder {options.model!r}: expected a folder or a name on the hub ({reason})") from None
    depth = getattr(found, "num_hidden_layers", None)
    if depth is not None and (options.frozen_layers or 0) > depth:
        raise ValueError(
            f"frozen_layers: expected at most the {depth} layers of {options.model}, got {options.frozen_layers}"
        )
