import torch

from drumblender.analysis.groups import group_bands, split_group

MEMBERS = torch.tensor(
    [[[0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]], [[0, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 1]]]
).bool()


def test_bands_have_their_modes_in_order():
    group = group_bands(MEMBERS, MEMBERS.any(-1))
    assert group.sound.tolist() == [0, 0, 1, 1, 1]
    assert group.band.tolist() == [0, 2, 0, 1, 2]
    found = [row[there].tolist() for row, there in zip(group.member, group.there)]
    assert found == [[1, 3], [0], [2], [0, 1, 3], [2, 3]]


def test_parts_have_all_bands_once_and_no_more_rows_than_they_need():
    group = group_bands(MEMBERS, MEMBERS.any(-1))
    parts = split_group(group, torch.tensor([7, 0, 0, 2, 7]))
    assert [part.member.shape for part in parts] == [(2, 1), (1, 3), (2, 2)]
    bands = [list(zip(part.sound.tolist(), part.band.tolist())) for part in parts]
    assert bands == [[(0, 2), (1, 0)], [(1, 1)], [(0, 0), (1, 2)]]


def test_without_modes_there_is_no_part():
    group = group_bands(torch.zeros(2, 3, 4).bool(), torch.zeros(2, 3).bool())
    assert not group.there.numel()
    assert split_group(group, group.sound) == []
