import torch

from rs_gen.networks.critic import CoefficientReader, Critic


def test_a_critic_answers_every_question_of_every_image():
    judged = Critic(4, [4, 8, 8], classes=7)(torch.randn(5, 4, 16, 16))
    assert judged.real.shape == (5,)
    assert judged.classes.shape == (5, 7)
    assert judged.features.shape == (5, 8)


def test_a_critic_without_classes_has_no_such_head():
    net = Critic(1, [4, 8])
    assert net(torch.randn(2, 1, 8, 8)).classes.shape == (2, 0)
    assert net.classes is None


def test_with_a_layer_norm_no_image_depends_on_the_others():
    net, x = Critic(1, [4, 8], spectral=False, norm="layer"), torch.randn(3, 1, 8, 8)
    assert torch.allclose(net(x).real[1], net(x[1:2]).real[0], atol=1e-5)


def test_spectral_weights_stretch_nothing_by_more_than_one():
    torch.manual_seed(0)
    net = Critic(1, [4, 8])
    x = torch.randn(2, 1, 8, 8)
    for _ in range(60):  # power iteration settles while training
        net(x)
    net.eval()
    norm = torch.linalg.matrix_norm(net.blocks[0].first.weight.flatten(1), 2)
    assert abs(norm.item() - 1) < 1e-2


def test_coefficients_are_read_for_any_number_of_images_in_any_order():
    torch.manual_seed(0)
    reader = CoefficientReader(6)
    supports, fused = torch.randn(2, 4, 6), torch.randn(2, 6)
    a = reader(supports, fused)
    assert torch.allclose(a.sum(1), torch.ones(2), atol=1e-6)
    order = [3, 1, 0, 2]
    assert torch.allclose(reader(supports[:, order], fused), a[:, order], atol=1e-6)
    assert reader(supports[:, :2], fused).shape == (2, 2)
