"""The data set that records were made on, read again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from small_text_comal.experiments.data.corpus import Corpus, fingerprint
from small_text_comal.experiments.data.names import known_name
from small_text_comal.experiments.data.prepare import load_corpus
from small_text_comal.experiments.options.config import ExperimentConfig
from small_text_comal.experiments.options.config_file import config_from_mapping
from small_text_comal.experiments.records.config_hash import config_hash, difference, run_settings
from small_text_comal.experiments.records.experiment_json import read_description
from small_text_comal.experiments.records.records import RecordsError

__all__ = ["RecordedData", "recorded_data"]


class RecordedData(NamedTuple):
    """A data set of an output folder: its `name`, the experiment with it alone, its documents, the hash of both."""

    name: str
    config: ExperimentConfig
    corpus: Corpus
    hash: str


def recorded_data(output: Path, dataset: str) -> RecordedData:
    """Read a data set of an output folder, when its content and settings still are those of the records.

    Raises
    ------
    ValueError
        On a data set that the folder does not have (with the nearest).
    RecordsError
        When the data or settings were changed since.
    """
    described = read_description(output).get("datasets", {})
    name = known_name(dataset, described, kind="dataset")
    config = config_from_mapping({**described[name]["config"], "output": str(output)})
    spec = config.datasets[0]
    corpus = load_corpus(spec)
    settings = run_settings(config, spec, fingerprint(corpus))
    found = config_hash(settings)
    if found != described[name]["hash"]:
        changes = "; ".join(difference(described[name]["settings"], settings))
        raise RecordsError(
            f"{name} was recorded with another config ({changes}), so its records cannot be read with this data: take "
            f"the change back (data are read from {spec.path or spec.loader})"
        )
    return RecordedData(name, config, corpus, found)
