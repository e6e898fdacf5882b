"""Comparisons with a real small-text learner and a tiny encoder: kills, resume, clusters, every strategy."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("matplotlib")

from safetensors.numpy import load_file

from small_text_comal.experiments.options.mapping import from_mapping
from small_text_comal.experiments.options.strategies import runnable_names
from small_text_comal.experiments.records.plan import Run
from small_text_comal.experiments.records.records import read_records
from small_text_comal.experiments.running.experiment import compare

ROOT = Path(__file__).parents[1]
TOPICS = ["cat", "dog", "fish", "bird"]
FILLERS = ["the", "a", "is", "was", "near", "old", "small", "green", "runs", "sleeps"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is experimental",
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::ResourceWarning",
    "ignore:non-inplace resize",
)


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    """A BERT of two layers with random weights and a vocabulary of words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: i for i, word in enumerate([*special, *TOPICS, *FILLERS])}
    words = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    folder = tmp_path_factory.mktemp("encoder")
    PreTrainedTokenizerFast(tokenizer_object=words, mask_token="[MASK]", **names).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=32, **sizes)
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Documents of random words; the labels are the animals in them."""
    folder = tmp_path_factory.mktemp("animals")
    rng = np.random.default_rng(0)
    for part, size in (("train", 90), ("test", 30)):
        lines = []
        for _ in range(size):
            labels = [name for name in TOPICS if rng.random() < 0.35]
            text = rng.permutation([*labels, *rng.choice(FILLERS, rng.integers(2, 9))])
            lines.append(json.dumps({"text": " ".join(text), "labels": labels}))
        (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def make_settings(tiny_bert, corpus, folder):
    return {
        "output": str(folder / "out"),
        "datasets": [{"loader": "jsonl", "path": str(corpus), "name": "animals", "validation_size": 15}],
        "strategies": ["CoMAL", "Random"],
        "seeds": [0],
        "initial_size": 10,
        "query_size": 8,
        "rounds": 3,
        "encoder": {"model": str(tiny_bert), "max_length": 16, "frozen_layers": 1},
        "training": {"max_epochs": 2, "batch_size": 8, "learning_rate": 1e-2},
        "branch": {"sub_feature_size": 8, "latent_size": 8, "max_epochs": 2},
        "threads": 1,
        "device": "cpu",
        "full_data": False,
    }


@pytest.fixture
def settings(tiny_bert, corpus, tmp_path):
    return make_settings(tiny_bert, corpus, tmp_path)


def write_toml(settings, file):
    plain = {name: value for name, value in settings.items() if not isinstance(value, dict) and name != "datasets"}
    lines = [f"{name} = {json.dumps(value)}" for name, value in plain.items()]
    for name, table in settings.items():
        if isinstance(table, dict):
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    for table in settings["datasets"]:
        lines += ["[[datasets]]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    file.write_text("\n".join(lines) + "\n")
    return file


def run(settings, **changes):
    compared = compare(from_mapping({**settings, **changes}), say=lambda message: None)
    assert compared.failed == {}
    return compared


def records_of(settings, strategy, seed=0):
    return read_records(Path(settings["output"]) / Run("animals", strategy, seed).file).records


def numbers(records):
    """What must not depend on when, where and in how many pieces a run was done."""
    return [(record["round"], record["labels"], record["metrics"], record["queried"]) for record in records]


@pytest.fixture(scope="module")
def uninterrupted(tiny_bert, corpus, tmp_path_factory):
    """Records of all strategies and seeds that other tests compare with, made in this process."""
    options = make_settings(tiny_bert, corpus, tmp_path_factory.mktemp("uninterrupted"))
    run({**options, "seeds": [0, 1]})
    return {(s, k): numbers(records_of(options, s, k)) for s in ("CoMAL", "RandomSampling") for k in (0, 1)}


# Runs the command, and kills it with SIGKILL as the given round is fitted or, halfway, written, or as the given part of
# the frozen layers' output is stored.
KILLED = """
import os, signal, sys
moment, number = sys.argv[1], int(sys.argv[2])
from small_text_comal.encoder import feature_cache
from small_text_comal.experiments.running import learner
from small_text_comal.experiments.records import records
from small_text_comal.experiments.command_line import app

if moment == "fit":
    fit, fits = learner.SmallTextLearner.fit, []
    def dies(self, labeled, seeds):
        fits.append(labeled)
        if len(fits) > number:
            os.kill(os.getpid(), signal.SIGKILL)
        fit(self, labeled, seeds)
    learner.SmallTextLearner.fit = dies
elif moment == "store":
    store, stored = feature_cache._write_segment, []
    def dies(path, *segment):
        stored.append(path)
        if len(stored) > number:
            path.with_suffix(".partial").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        store(path, *segment)
    feature_cache._write_segment = dies
else:
    write, writes = os.write, []
    def dies(self, descriptor, line):
        writes.append(line)
        if len(writes) > number:
            os.write(descriptor, line[: len(line) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        plain(self, descriptor, line)
    plain, records.RecordFile._write = records.RecordFile._write, dies
app(sys.argv[3:])
"""


@pytest.mark.parametrize(("moment", "number"), [("fit", 2), ("write", 1)])
def test_a_killed_comparison_goes_on_to_the_same_indices(settings, uninterrupted, tmp_path, moment, number):
    file = write_toml({**settings, "strategies": ["CoMAL"]}, tmp_path / "x.toml")
    command = [sys.executable, "-c", KILLED, moment, str(number), "compare", str(file)]
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    path = tmp_path / "out" / Run("animals", "CoMAL", 0).file
    assert path.read_bytes().count(b"\n") == number
    assert path.read_bytes().endswith(b"\n") == (moment == "fit")
    command = [sys.executable, "-m", "small_text_comal.experiments", "compare", str(file)]
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "1 to resume" in ended.stderr
    assert ("half-written record" in ended.stderr) == (moment == "write")
    assert numbers(records_of(settings, "CoMAL")) == uninterrupted["CoMAL", 0]
    assert "\r" not in ended.stdout + ended.stderr


def test_runs_share_the_frozen_layers_also_after_a_kill(settings, uninterrupted, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_DISK", str(tmp_path))
    settings |= {"cache_folder": "$SOME_DISK/cache"}
    file = write_toml(settings, tmp_path / "x.toml")
    command = [sys.executable, "-c", KILLED, "store", "1", "compare", str(file)]
    environment = {**ENVIRONMENT, "SOME_DISK": str(tmp_path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    run({**settings, "seeds": [0, 1]})
    assert_same_records(settings, uninterrupted)
    segments = list((tmp_path / "cache").rglob("*.safetensors"))
    documents = [key.tobytes() for segment in segments for key in load_file(segment)["keys"]]
    assert len(documents) == len(set(documents))  # what was stored before the kill was kept, and nothing computed twice


def assert_same_records(settings, uninterrupted):
    found = {key: numbers(records_of(settings, *key)) for key in uninterrupted}
    assert found == uninterrupted


def test_processes_side_by_side_give_the_same_records(settings, uninterrupted):
    run(settings, seeds=[0, 1], jobs=2)
    assert_same_records(settings, uninterrupted)


@pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps, to see which processes live")
def test_a_killed_command_leaves_no_process_behind(settings, tmp_path):
    settings["training"] |= {"max_epochs": 10_000, "patience": 0}
    settings["full_data"] = True
    file = write_toml({**settings, "seeds": [0, 1]}, tmp_path / "x.toml")
    command = [sys.executable, "-m", "small_text_comal.experiments", "compare", str(file), "--jobs", "2"]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as killed:
        locks = tmp_path / "out" / "records"
        assert _comes_true(lambda: len(list(locks.rglob("*.lock"))) == 2)
        workers = _living_children(killed.pid)
        assert len(workers) >= 2
        killed.kill()
        killed.wait()
        assert _comes_true(lambda: not any(_is_alive(pid) for pid in workers))


def _comes_true(condition, *, within=60):
    deadline = time.monotonic() + within
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.2)
    return condition()


def _living_children(pid):
    shown = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True)
    return [int(child) for child in shown.stdout.split()]


def _is_alive(pid):
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(shown.stdout.strip()) and not shown.stdout.startswith("Z")


def test_two_node_ray_cluster_gives_the_same_records(settings, uninterrupted):
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        run(settings, seeds=[0, 1], jobs=2, backend="ray", cluster=cluster.address)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert_same_records(settings, uninterrupted)


def test_two_node_dask_cluster_gives_the_same_records(settings, uninterrupted):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        run(settings, seeds=[0, 1], backend="dask", cluster=cluster.scheduler_address)
    assert_same_records(settings, uninterrupted)


def test_a_machine_without_the_senders_disk_returns_its_records(settings, uninterrupted, monkeypatch, tmp_path):
    from dataclasses import replace

    from small_text_comal.experiments.running import experiment

    monkeypatch.setattr(
        experiment,
        "execute",
        lambda task, plain=experiment.execute: plain(
            replace(task, config=replace(task.config, output=str(tmp_path / "elsewhere")))
        ),
    )
    run({**settings, "rounds": 1})
    run(settings)
    assert numbers(records_of(settings, "CoMAL")) == uninterrupted["CoMAL", 0]


def test_strategies_of_a_seed_start_from_the_same_model(settings, uninterrupted):
    first = {strategy: uninterrupted[strategy, 0][0] for strategy in ("CoMAL", "RandomSampling")}
    assert (
        first["CoMAL"][2] == first["RandomSampling"][2]
    )  # a branch takes nothing from the classifier's random numbers


def test_every_strategy_runs_two_rounds_or_is_skipped_with_a_reason(settings, capfd):
    names = runnable_names()
    compared = run({**settings, "strategies": [*names, "DiscriminativeActiveLearning", "BADGE"], "rounds": 1})
    assert len(compared.finished) == len(names)
    assert set(compared.skipped) == {"DiscriminativeActiveLearning", "BADGE"}
    for name in names:
        assert len(set(records_of(settings, name)[0]["queried"])) == 8
    assert "\r" not in capfd.readouterr().err  # no progress bar of a library


def test_latent_figure_of_a_finished_run(settings, tmp_path):
    run({**settings, "strategies": ["CoMAL"], "rounds": 1})
    command = [sys.executable, "-m", "small_text_comal.experiments", "plot", settings["output"], "--latent"]
    ended = subprocess.run([*command, "--round", "1"], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    files = [Path(line) for line in ended.stdout.splitlines()]
    assert [file.suffix for file in files] == [".png", ".svg"]
    assert all(file.stat().st_size > 10_000 for file in files)


def test_the_model_of_a_round_is_the_same_when_it_is_trained_again(settings):
    """What the latent figure stands on: labels from the records and the round's seeds give the round's model."""
    from small_text_comal.experiments.data.prepare import load_corpus
    from small_text_comal.experiments.options.strategies import parse_strategy
    from small_text_comal.experiments.running.learner import SmallTextLearner
    from small_text_comal.experiments.running.library_noise import limited_threads
    from small_text_comal.experiments.running.protocol import make_split, round_seeds
    from small_text_comal.experiments.running.rounds import labeled_rows

    run({**settings, "strategies": ["CoMAL"]})
    records = records_of(settings, "CoMAL")
    config = from_mapping(settings)
    spec = config.datasets[0]
    data = load_corpus(spec)
    split = make_split(data, spec, 0)
    with limited_threads(1):
        learner = SmallTextLearner(data, split, config, spec=spec, strategy=parse_strategy("CoMAL"))
        learner.fit(labeled_rows(records[:2], records[0]["initial"], split.pool.rows), round_seeds(0, 2))
        queried = learner.query(8)
    assert split.pool.rows[queried].tolist() == records[2]["queried"]
