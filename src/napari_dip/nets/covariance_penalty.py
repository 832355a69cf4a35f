"""Mix blurs of an image so that the expected error is least, where the noise's covariance is known.

A linear filter F of the noisy image y errs by ``E |F y - y|^2 + 2 c - s^2``, where c is the
covariance of the filtered noise with the pixel's own and s^2 the noise's variance (Mallows' Cp, a
covariance penalty; Stein's unbiased risk estimate for Gaussian noise). So the best weights of a few
filters have a closed form, without a blind spot: near pixels are used as far as their noise allows.

References
----------
Mallows, Some comments on Cp, Technometrics 1973, doi:10.1080/00401706.1973.10489103.
Efron, The estimation of prediction error: covariance penalties and cross-validation, JASA 2004,
doi:10.1198/016214504000000692.
Stein, Estimation of the mean of a multivariate normal distribution, Annals of Statistics 1981,
doi:10.1214/aos/1176345632.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dip.nets.gaussian import blur, gaussian_line, radius_of

WIDTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0)  # standard deviations in pixels
CLASSES = 5  # of pixels by how well they are predicted, with weights of their own
# Noise that a network has learnt by heart, in units of the noise's variance: its covariance with
# the answer is larger by about that much than a network that never saw the image would have.
OVERFITTED = 0.03
RIDGE = 1e-6


class BlurMixtures:
    """Mixtures of an image's blurs, each for the pixels of a class.

    Parameters
    ----------
    y : Tensor
        Shape (C, Y, X), noisy; its mean should be near 0.
    correlation : Tensor
        Shape (2 R + 1, 2 R + 1), of the noise with that of the pixels up to R away in y and x; 1 in
        the middle.
    variance : Tensor
        Shape (C, Y, X), of the noise, in units of `y` squared.
    """

    def __init__(self, y: Tensor, correlation: Tensor, variance: Tensor) -> None:
        self.y, self.variance = y, variance
        blurs = [blur(y[None], width)[0] for width in WIDTHS]
        self.views = torch.stack([y, *blurs, torch.zeros_like(y)])  # (K, C, Y, X)
        shares = [_share(width, correlation) for width in WIDTHS]
        self.covariances = torch.tensor([1.0, *shares, 0.0], dtype=torch.float64)

    def mix(self, answer: Tensor, own_share: Tensor, unpredicted: Tensor) -> Tensor:
        """Mix blurs and a network's answer, class by class.

        Parameters
        ----------
        answer : Tensor
            Shape (C, Y, X), the network's.
        own_share : Tensor
            Shape (C, Y, X), the weight of the measured pixel in it, in [0, 1].
        unpredicted : Tensor
            Shape (C, Y, X), variance of the blind prediction's error: it tells fine structure from
            smooth areas, and must not depend on the noise of the pixel itself.
        """
        mixed = torch.empty_like(answer)
        for colour, one in enumerate(unpredicted):
            quantiles = torch.linspace(0, 1, CLASSES + 1, device=one.device)[1:-1]
            sample = one.flatten()[:: max(1, one.numel() // 100_000)]
            classes = torch.bucketize(one, sample.quantile(quantiles))
            for number in range(CLASSES):
                where = classes == number
                if bool(where.any()):
                    mixed[colour][where] = self._mix_class(
                        self.y[colour][where],
                        self.views[:, colour, where],
                        answer[colour][where],
                        own_share[colour][where],
                        float(self.variance[colour][where].mean()),
                    )
        return mixed

    def unless_worse(self, answer: Tensor, own_share: Tensor, margin: float) -> Tensor:
        """Return a network's answer, or in its place the best mixture of blurs.

        That is for colours whose expected error is larger than that of the mixture by more than
        `margin` times the noise's variance; the other parameters are those of `mix`.
        """
        colours = []
        for y, views, one, own, variance in zip(
            self.y, self.views.transpose(0, 1), answer, own_share, self.variance, strict=True
        ):
            mean = float(variance.mean())
            mixture, change, gained = self._compare(
                y.flatten(), views.flatten(1), one.flatten(), own, mean
            )
            worse = float(change.square().mean()) - 2 * gained
            colours.append(mixture.reshape(one.shape) if worse > margin * mean else one)
        return torch.stack(colours)

    def _mix_class(
        self, y: Tensor, views: Tensor, answer: Tensor, own_share: Tensor, variance: float
    ) -> Tensor:
        """Take the share of the answer that has the least expected error, from none to all."""
        mixture, change, gained = self._compare(y, views, answer, own_share, variance)
        share = gained / max(float(change.square().mean()), 1e-30)
        return mixture + min(max(share, 0.0), 1.0) * change

    def _compare(
        self, y: Tensor, views: Tensor, answer: Tensor, own_share: Tensor, variance: float
    ) -> tuple[Tensor, Tensor, float]:
        """Return the best mixture of blurs, the change to the answer, and what it gains.

        Mixture and a share s of the change have by ``2 s gained - s^2 mean(change^2)`` less
        expected error than the mixture.
        """
        gram = (views @ views.T / len(y)).cpu().double()
        covariances = self.covariances * variance
        moments = (views @ y / len(y)).cpu().double() - covariances
        weights = _averaging_weights(gram, moments)
        mixture = weights.to(views) @ views
        change = answer - mixture
        own = (own_share.mean().item() + OVERFITTED) * variance
        penalty = own - float(weights @ covariances)
        return mixture, change, float((change * (y - mixture)).mean()) - penalty


def _averaging_weights(gram: Tensor, moments: Tensor) -> Tensor:
    """Return weights, none negative and of sum 1, of least expected error.

    They minimise ``w G w - 2 w m``. Without these bounds weights of opposite sign magnify what is
    wrong in the covariance.
    """
    from scipy.optimize import nnls

    size = len(gram)
    values, vectors = torch.linalg.eigh(gram)
    roots = values.clamp_min(RIDGE * max(float(values[-1]), 1e-30)).sqrt()
    factor = roots[:, None] * vectors.T  # its square is the gram matrix
    target = vectors.T @ moments / roots
    sure = 1e3 * float(gram.diagonal().max()) ** 0.5
    rows = torch.cat([factor, torch.full((1, size), sure, dtype=gram.dtype)])
    goal = torch.cat([target, torch.tensor([sure], dtype=gram.dtype)])
    return torch.as_tensor(nnls(rows.numpy(), goal.numpy())[0])


def _share(width: float, correlation: Tensor) -> float:
    """Return the covariance of blurred noise with the pixel's own, for noise of variance 1."""
    reach = len(correlation) // 2
    radius = max(radius_of(width), reach)
    line = gaussian_line(width, radius, correlation)[radius - reach : radius + reach + 1]
    return (line @ correlation @ line).item()
