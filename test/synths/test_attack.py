import torch

from drumblender.synths import AttackTCN


def network(**options):
    torch.manual_seed(0)
    return AttackTCN(length=256, fade=64, num_layers=3, film_embedding_size=4, **options)


def test_the_network_is_silent_before_training():
    assert not network()(torch.randn(2, 1, 400), torch.randn(2, 4)).any()


def test_it_is_silent_after_the_attack_and_fades_out():
    net = network()
    torch.nn.init.ones_(net.tcn.out_projection.weight)
    y = net(torch.randn(2, 1, 1000), torch.randn(2, 4))
    assert not y[..., 256:].any()
    assert y[..., :192].abs().max() > 0
    assert y[..., 250:256].abs().max() < 0.05 * y[..., :192].abs().max()


def test_only_the_attack_is_heard_and_no_sample_before_its_time():
    net, embedding = network(), torch.randn(1, 4)
    torch.nn.init.ones_(net.tcn.out_projection.weight)
    x = torch.randn(1, 1, 400)
    late, changed = x.clone(), x.clone()
    late[..., 256:] += 1
    changed[..., 100:] += 1
    assert torch.equal(net(x, embedding), net(late, embedding))
    torch.testing.assert_close(net(x, embedding)[..., :100], net(changed, embedding)[..., :100])


def test_a_signal_shorter_than_the_attack_keeps_its_length():
    assert network()(torch.randn(1, 1, 40), torch.randn(1, 4)).shape == (1, 1, 40)


def test_what_is_silent_learns_all_the_same():
    net = network()
    x, embedding = torch.randn(2, 1, 256), torch.randn(2, 4)
    rate = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        rate.zero_grad()
        (net(x, embedding) - 1).square().mean().backward()
        rate.step()
    assert all(p.grad is not None and p.grad.any() for p in net.tcn.net[0].film.parameters())
