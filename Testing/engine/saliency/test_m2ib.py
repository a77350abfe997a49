from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.dual import DualEncoder
from MedCLIPSAMLib.engine.errors import Cancelled, InputError
from MedCLIPSAMLib.engine.machine.precision import computing_in
from MedCLIPSAMLib.engine.published import PUBLISHED
from MedCLIPSAMLib.engine.saliency import TextQuery, normalise, saliency_method
from MedCLIPSAMLib.engine.saliency.m2ib import M2IB

LAYER = 1


def plainly(model: DualEncoder, image: Tensor, text: Tensor, beta: float, steps: int, n: int, seed: int) -> Tensor:
    """The method step by step as published: one image, n copies of it, the global generator, every step whole."""
    torch.manual_seed(seed)
    alpha = nn.Parameter(torch.full((1, 17, 24), 5.0))
    adam = torch.optim.Adam([alpha], lr=1)
    kl = torch.empty(0)
    for _ in range(steps):
        adam.zero_grad()
        x = model.tokens_after(image.expand(n, -1, -1, -1), LAYER)
        a = torch.sigmoid(alpha).expand(n, -1, -1)
        mean, variance = x * a, (1 - a) ** 2
        kl = -0.5 * (1 + torch.log(variance) - mean**2 - variance)
        noisy = mean + variance.sqrt() * torch.empty(n, 17, 24).normal_()
        agreement = nn.CosineSimilarity(eps=1e-6)(text.expand(n, -1), model.features_after(noisy, LAYER))
        (beta * kl.mean() - agreement.mean()).backward()
        adam.step()
    patches = kl.mean(0).nansum(-1)[1:].reshape(1, 1, 4, 4)
    return F.interpolate(patches, 32, mode="bilinear")[0, 0].detach()


def test_the_published_settings_are_the_defaults() -> None:
    method = M2IB()
    defaults = (method.layer, method.beta, method.steps, method.noise_samples, method.learning_rate)
    assert defaults == (7, 0.1, 10, 10, 1.0)
    assert method.seed == PUBLISHED.seed


@pytest.mark.parametrize(("beta", "n", "wordings"), [(0.1, 10, ["liver"]), (2.0, 1, ["liver", "hepar"])])
def test_maps_are_those_of_the_method_written_out(model, pixels, beta: float, n: int, wordings: list[str]) -> None:
    method = M2IB(LAYER, beta, steps=6, noise_samples=n, seed=11, noise="published")
    ours = method(model, pixels[:2], TextQuery.encode(model, wordings)).maps
    text = F.normalize(model.encode_text(wordings).mean(0, keepdim=True))
    for image, one in zip(pixels[:2], ours, strict=True):
        expected = plainly(model, image[None], text, beta, 6, n, 11)
        assert (one - expected).abs().max() <= 1e-3 * expected.max()


@pytest.mark.parametrize("name", ["m2ib", "gradient"])
def test_maps_in_bfloat16_are_those_of_float32(model, pixels, name: str) -> None:
    method, query = saliency_method(name, layer=LAYER), TextQuery.encode(model, ["liver"])
    expected = method(model, pixels, query).maps
    with computing_in(torch.bfloat16, torch.device("cpu")):
        ours = method(model, pixels, query).maps
    for half, whole in zip(ours, expected, strict=True):
        assert torch.corrcoef(torch.stack([half.flatten().float(), whole.flatten()]))[0, 1] > 0.999


def test_a_map_depends_neither_on_batch_nor_on_order(model, pixels) -> None:
    query = TextQuery.encode(model, ["liver"])
    together = normalise(M2IB(LAYER, batch=8)(model, pixels, query).maps)
    in_twos = normalise(M2IB(LAYER, batch=2)(model, pixels, query).maps)
    backwards = normalise(M2IB(LAYER)(model, pixels.flip(0), query, slices=[4, 3, 2, 1, 0]).maps).flip(0)
    alone = normalise(M2IB(LAYER)(model, pixels[[3]], query, slices=[3]).maps)
    assert (together - in_twos).abs().max() < 1e-3
    assert (together - backwards).abs().max() < 1e-3
    assert (together[[3]] - alone).abs().max() < 1e-3


def test_noise_differs_between_slices_and_seeds_but_not_in_published_mode(model, pixels) -> None:
    query = TextQuery.encode(model, ["liver"])
    same = pixels[[0, 0]]

    def spread(method: M2IB) -> float:
        one, other = normalise(method(model, same, query).maps)
        return float((one - other).abs().max())

    assert spread(M2IB(LAYER, noise_samples=2)) > 1e-3
    assert spread(M2IB(LAYER, noise_samples=2, noise="published")) < 1e-3
    maps = [normalise(M2IB(LAYER, noise_samples=2, seed=seed)(model, same, query).maps) for seed in (1, 2)]
    assert (maps[0] - maps[1]).abs().max() > 1e-3


def test_the_global_generator_is_left_alone(model, pixels) -> None:
    state = torch.get_rng_state()
    M2IB(LAYER)(model, pixels[:1], TextQuery.encode(model, ["liver"]))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_text_steers_the_map(model, pixels) -> None:
    maps = [
        normalise(M2IB(LAYER)(model, pixels[:1], TextQuery.encode(model, [word])).maps) for word in ("liver", "spleen")
    ]
    assert (maps[0] - maps[1]).abs().max() > 0.05


def test_only_the_blocks_after_the_bottleneck_run_again(model, pixels) -> None:
    method, query = M2IB(LAYER, steps=5, batch=3), TextQuery.encode(model, ["liver"])
    tokens = method.prepare(model, pixels[:3])
    assert (model.prefixes, model.suffixes) == (1, 0)
    explained = method.explain(model, tokens, query)
    assert (model.prefixes, model.suffixes) == (1, 4)
    assert torch.equal(method(model, pixels[:3], query).maps, explained.maps)


def test_no_weight_gets_a_gradient(model, pixels) -> None:
    tower = model.vision
    for weight in tower.parameters():
        weight.requires_grad_(True)
    with torch.no_grad():
        M2IB(LAYER)(model, pixels[:1], TextQuery.encode(model, ["liver"]))
    assert all(weight.grad is None for weight in tower.parameters())


def test_information_is_the_sum_over_patches_and_falls_with_beta(model, pixels) -> None:
    query = TextQuery.encode(model, ["liver"])
    cheap, dear = (M2IB(LAYER, beta)(model, pixels, query) for beta in (0.1, 10.0))
    assert cheap.information.shape == (5,)
    # Bilinear enlargement keeps the mean but for the border, where it repeats the outer half patch.
    assert torch.allclose(cheap.maps.mean((1, 2)) * 16, cheap.information, rtol=0.1)
    assert (dear.information < cheap.information).all()
    assert (dear.information >= 0).all()


@pytest.mark.parametrize("steps_allowed", [0, 3])
def test_cancelling_takes_effect_at_the_next_step(model, pixels, steps_allowed: int) -> None:
    method, query = M2IB(LAYER), TextQuery.encode(model, ["liver"])
    with pytest.raises(Cancelled):
        method(model, pixels[:1], query, cancelled=lambda: model.suffixes >= steps_allowed)
    assert model.suffixes == steps_allowed


def test_a_query_is_the_mean_of_raw_features_and_keeps_contrasts_apart() -> None:
    target, contrast = torch.tensor([[4.0, 0.0], [0.0, 3.0]]), torch.tensor([[0.0, 2.0]])
    query = TextQuery.from_features(target, contrast)
    assert query.target.tolist() == pytest.approx([0.8, 0.6])
    assert query.contrast.tolist() == [[0.0, 1.0]]
    assert TextQuery.from_features(target).contrast.shape == (0, 2)


def test_normalise_stretches_each_map_and_leaves_a_flat_one_at_zero() -> None:
    maps = torch.stack([torch.tensor([[1.0, 3.0], [2.0, 5.0]]), torch.full((2, 2), 7.0)])
    assert normalise(maps).tolist() == [[[0, 0.5], [0.25, 1]], [[0, 0], [0, 0]]]


def test_methods_are_found_by_name() -> None:
    assert saliency_method("m2ib", layer=3) == M2IB(layer=3)
    with pytest.raises(InputError, match="no saliency method 'groupcam': choose one of m2ib, gradient, dense"):
        saliency_method("groupcam")


def test_antithetic_noise_comes_in_pairs_that_cancel(model, pixels) -> None:
    tokens = model.tokens_after(pixels[:1], LAYER)
    method = M2IB(LAYER, noise_samples=5, antithetic=True)
    noise = method._noise(tokens, [method.stream(0, torch.device("cpu"))], 5)[0]
    assert noise.shape == (5, *tokens.shape[1:])
    assert torch.equal(noise[:2], -noise[3:])
    assert noise[2].std() > 0.5


def test_growing_noise_starts_with_one_sample_and_ends_with_all(model, pixels, monkeypatch) -> None:
    seen = []
    behind = model.features_after
    monkeypatch.setattr(model, "features_after", lambda x, layer: seen.append(len(x)) or behind(x, layer))
    query = TextQuery.encode(model, ["liver"])
    for growing, expected in ((True, [1, 1, 2, 4, 4]), (False, [4] * 5)):
        M2IB(LAYER, steps=6, noise_samples=4, growing=growing)(model, pixels[:1], query)
        assert seen == expected
        seen.clear()


def test_pairs_of_noise_come_nearer_to_the_map_of_much_noise(model, pixels) -> None:
    query = TextQuery.encode(model, ["liver"])

    def patches(n: int, antithetic: bool, seed: int) -> Tensor:
        method = M2IB(LAYER, noise_samples=n, antithetic=antithetic, seed=seed, batch=5)
        return normalise(method(model, pixels, query).maps)

    truth = patches(200, False, 999)
    errors = {
        paired: sum(float((patches(4, paired, seed) - truth).square().mean()) for seed in range(8))
        for paired in (True, False)
    }
    assert errors[True] < errors[False]


def test_the_gradient_ranks_patches_as_what_they_add_to_the_agreement() -> None:
    """An image whose features are the sum of its patches: what a patch adds is its token's product with the text."""

    class Sum:
        grid, image_size, token_width, block_count, device = 2, 8, 3, 2, torch.device("cpu")

        def features_after(self, tokens, layer):
            return tokens[:, 1:].sum(1) + torch.tensor([0.0, 0.0, 50.0])  # so that lengths hardly change

    tokens = torch.zeros(1, 5, 3)
    tokens[0, 1, 0], tokens[0, 2, 0], tokens[0, 3, 0] = 2.0, 1.0, -1.0
    query = TextQuery(torch.tensor([1.0, 0.0, 0.0]), torch.zeros(0, 3))
    seen: Any = saliency_method("gradient", layer=0).explain(Sum(), tokens, query)  # type: ignore[arg-type]
    corners = seen.maps[0, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners[0] > 1.5 * corners[1] > 0
    assert corners[2] < 0.2 * corners[1], "what would disagree more"
    assert seen.information[0] == pytest.approx(float(corners.sum()), rel=1e-3)


def test_the_gradient_takes_one_pass_and_agrees_in_any_batch(model, pixels) -> None:
    method, query = saliency_method("gradient", layer=LAYER), TextQuery.encode(model, ["liver"])
    tokens = method.prepare(model, pixels)
    together = method.explain(model, tokens, query).maps
    assert model.suffixes == 5
    alone = method.explain(model, tokens[[3]], query, slices=[3]).maps
    assert torch.allclose(together[[3]], alone, atol=1e-5 * float(alone.max()))
    batched = saliency_method("gradient", layer=LAYER, batch=3).explain(model, tokens, query).maps
    assert torch.allclose(together, batched, atol=1e-5 * float(together.max()))
    with pytest.raises(Cancelled):
        method.explain(model, tokens, query, cancelled=lambda: True)
