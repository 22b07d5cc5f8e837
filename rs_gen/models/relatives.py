"""F2GAN's five relatives for an analyst. Constructor and methods are those of ``FewShotModel``."""

from __future__ import annotations

from typing import Any

from .few_shot import FewShotModel


class MatchingGAN(FewShotModel):
    """A random code is matched with the support chips; what matches is fused.

    Hong et al. 2020, arXiv:2003.03497. Settings are those of
    ``games.matchinggan.MatchingGANGame``.
    """

    name = "matchinggan"


class DAGAN(FewShotModel):
    """Each drawn chip is made of one support chip and a code; works with a single one.

    Antoniou et al. 2017, arXiv:1711.04340. Settings are those of ``games.dagan.DAGANGame``.
    """

    name = "dagan"


class GMN(FewShotModel):
    """A generative matching network: no adversary, it maximises a bound on the likelihood.

    Bartunov & Vetrov 2018, arXiv:1612.02192. Settings are those of ``games.gmn.GMNGame``; drawings
    of two values get ``likelihood="bernoulli"`` where none is asked for.
    """

    name = "gmn"

    def _usual(self, data: Any, settings: dict[str, Any]) -> dict[str, Any]:
        kind = "bernoulli" if getattr(data, "two_valued", False) else "laplace"
        return {"likelihood": kind, **settings}


class FIGR(FewShotModel):
    """A GAN that learns a class by a few steps of gradient descent, meta-trained by Reptile.

    Clouâtre & Demers 2019, arXiv:1901.02199. Settings are those of ``games.figr.FIGRGame``. The
    published training is 50,000 meta steps and more: a GPU's work.
    """

    name = "figr"


class DAWSON(FewShotModel):
    """As FIGR, meta-trained by MAML with a critic for each set of images.

    Liang et al. 2020, arXiv:2001.00576. Settings are those of ``games.dawson.DAWSONGame``.
    """

    name = "dawson"
