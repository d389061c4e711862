"""Datasets in a bucket are those on the disk: the same items in the same order, for all options."""

import pytest
import torch
from jsonargparse import ArgumentParser

from drumblender.commands.dataset import main
from drumblender.config import load_config
from drumblender.data import AudioDataModule
from drumblender.data.bucket import pace
from drumblender.errors import DrumblenderError

ADDRESS = "s3://drums/trained/v1"


def opened(project, **init_args):
    project.configure(**{"batch_size": 3, **init_args})
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AudioDataModule, "data")
    config = {"data": load_config(project.config)}
    data = parser.instantiate_classes(parser.parse_object(config)).data
    data.prepare_data()
    data.setup()
    return data


def from_bucket(project, url, **init_args):
    where = {"url": url, "data_dir": ADDRESS, "cache_dir": "cache"}
    return opened(project, **where, **init_args)


def put(project, store, *options):
    project.configure(url=store.url)
    return main(["data.yaml", "--stream", ADDRESS, *options])


@pytest.fixture
def streamed(project, store):
    project.fill(packs=5, sounds=4)
    assert put(project, store) == 0
    return project


def batches(loader):
    return [torch.cat([audio.flatten(1), parameters.flatten(1)], 1) for audio, parameters in loader]


@pytest.mark.parametrize(
    "dataset_kwargs",
    [{"seed": 1}, {"seed": 2, "split_strategy": "sample_pack", "expected_num_modes": 5}],
)
def test_every_split_has_the_items_of_the_same_dataset_on_the_disk(streamed, store, dataset_kwargs):
    disk = opened(streamed, dataset_kwargs=dataset_kwargs)
    bucket = from_bucket(streamed, store.url, dataset_kwargs=dataset_kwargs)
    for name in ("train", "val", "test"):
        here, there = (getattr(data, f"{name}_dataset") for data in (disk, bucket))
        assert here.keys == there.keys
        loaders = [getattr(data, f"{name}_dataloader")() for data in (disk, bucket)]
        for _ in range(2):  # over the network, then from the cache
            expected, found = map(batches, loaders)
            assert all(map(torch.equal, expected, found))
            assert len(expected) == len(found)


def test_audio_alone_and_filters_work(streamed, store):
    options = {"dataset_kwargs": {"sample_packs": ["pack 1", "pack 3"]}}
    bucket = from_bucket(
        streamed, store.url, class_path="drumblender.data.AudioDataModule", **options
    )
    assert len(bucket.dataset()) == 8
    assert {audio.shape for audio in bucket.train_dataloader()} <= {(3, 1, 4000), (2, 1, 4000)}


def test_loading_processes_give_the_same_batches(streamed, store):
    alone = batches(from_bucket(streamed, store.url).train_dataloader())
    shared = batches(from_bucket(streamed, store.url, num_workers=1).train_dataloader())
    assert all(map(torch.equal, alone, shared))


def test_a_store_that_is_busy_or_breaks_off_is_asked_again(streamed, proxy, monkeypatch):
    monkeypatch.setattr(pace, "_PAUSE_S", 0.0)
    expected = batches(opened(streamed).train_dataloader())
    proxy.fail(status=503, times=3, path="packs/")
    proxy.fail(after=2000, times=2, path="packs/")
    proxy.fail(after=2000, how="end", times=1, path="packs/")
    found = batches(from_bucket(streamed, proxy.address, cache_gb=0).train_dataloader())
    assert all(map(torch.equal, expected, found))
    assert all(rule.times == 0 for rule in proxy.rules)


def test_every_sound_is_read_once_and_alone_and_then_comes_from_the_cache(streamed, proxy):
    data = from_bucket(streamed, proxy.address)
    proxy.requests.clear()
    list(data.train_dataloader())
    ranges = [r for r in proxy.ranges() if r]
    assert len(ranges) == len(set(ranges)) == len(data.train_dataset) - 1  # one was tried at first
    proxy.requests.clear()
    list(data.train_dataloader())
    assert proxy.ranges() == []


def test_another_version_takes_its_place_only_by_force_and_leaves_trainings_alone(
    streamed, store, capsys
):
    data = from_bucket(streamed, store.url, cache_gb=0)
    before = batches(data.train_dataloader())
    assert put(streamed, store) == 0
    assert "holds the dataset as it is" in capsys.readouterr().out

    streamed.fill(packs=5, sounds=6)
    streamed.configure(url=store.url)
    assert main(["data.yaml", "--preprocess"]) == 0
    assert put(streamed, store) == 2
    assert "holds another dataset" in capsys.readouterr().err
    assert put(streamed, store, "--force") == 0

    assert sorted(map(len, batches(data.train_dataloader()))) == sorted(map(len, before))
    data.load_state_dict({"version": data.version})
    later = from_bucket(streamed, store.url)
    assert len(later.dataset()) == 30
    with pytest.warns(UserWarning, match="has changed since the checkpoint"):
        later.load_state_dict({"version": data.version})


def test_what_is_wrong_is_one_sentence(streamed, store, client, monkeypatch):
    with pytest.raises(DrumblenderError, match="hop_length 100 but the configuration says"):
        from_bucket(streamed, store.url, hop_length=50)
    data = from_bucket(streamed, store.url, cache_gb=0)
    (pack,) = (
        item["Key"]
        for item in client.list_objects_v2(Bucket="drums")["Contents"]
        if "/packs/" in item["Key"]
    )
    content = client.get_object(Bucket="drums", Key=pack)["Body"].read()
    client.put_object(Bucket="drums", Key=pack, Body=content[:4096] + bytes(len(content) - 4096))
    with pytest.raises(DrumblenderError, match="is damaged where"):
        list(data.train_dataloader())
    client.delete_object(Bucket="drums", Key=pack)
    with pytest.raises(DrumblenderError, match="is gone"):
        list(data.train_dataloader())
    client.delete_object(Bucket="drums", Key="trained/v1/dataset.json")
    with pytest.raises(DrumblenderError, match="s3://drums/trained/v1 holds no dataset"):
        from_bucket(streamed, store.url)


def test_a_damaged_cache_is_read_anew(streamed, store):
    expected = batches(from_bucket(streamed, store.url).train_dataloader())
    for path in streamed.folder.glob("cache/packs/*/*"):
        damaged = bytearray(path.read_bytes())
        middle = len(damaged) // 2
        damaged[middle : middle + 100] = bytes(100)
        path.write_bytes(damaged)
    found = batches(from_bucket(streamed, store.url).train_dataloader())
    assert all(map(torch.equal, expected, found))
