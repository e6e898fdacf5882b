"""The data set that records were made on, read again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from small_text_comal.experiments.data.corpus import Corpus, fingerprint
from small_text_comal.experiments.data.prepare import load_corpus
from small_text_comal.experiments.options.config import ExperimentConfig
from small_text_comal.experiments.options.mapping import from_mapping
from small_text_comal.experiments.records.output_folder import OutputFolder
from small_text_comal.experiments.records.run_settings import RunSettings, run_settings

__all__ = ["RecordedData", "recorded_data"]


class RecordedData(NamedTuple):
    """A data set of an output folder: the experiment with it alone, its documents, and the settings of its runs."""

    config: ExperimentConfig
    corpus: Corpus
    settings: RunSettings


def recorded_data(output: Path, dataset: str) -> RecordedData:
    """Read a data set of an output folder, provided that its content and settings are those of the records.

    Raises
    ------
    UserError
        On a data set that the folder does not have (with the nearest).
    RecordsError
        When the data or settings were changed since.
    """
    folder = OutputFolder(output)
    config = from_mapping({**folder.described(dataset)["config"], "output": str(output)})
    (spec,) = config.datasets
    corpus = load_corpus(spec)
    settings = run_settings(config, spec, fingerprint(corpus))
    folder.check_unchanged(settings, source=spec.path or spec.loader)
    return RecordedData(config, corpus, settings)
