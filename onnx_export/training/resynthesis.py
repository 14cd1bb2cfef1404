"""Sound through the codec and back."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .codec import analyse, load_analysis
from .codec_model import CodecDecoder
from .paths import WorkFolder

Pcm = NDArray[np.float32]


class Resynthesis:
    """Sound through the codec and back, by the analysis of a work folder and the decoder of one checkpoint."""

    def __init__(self, folder: WorkFolder, decoder: Path) -> None:
        self._encoder, self._quantiser = load_analysis(folder)
        files = (folder.stage("codec") / "analysis.pt", decoder)
        self.key = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
        """What tells one set of weights from another."""
        self._decoder = CodecDecoder(self._encoder.config)
        self._decoder.load_state_dict(torch.load(decoder, weights_only=True)["decoder"])
        self._decoder.eval()
        self._late = self._encoder.config.late_samples

    @torch.no_grad()
    def __call__(self, pcm: Pcm, depth: int) -> Pcm:
        """Of pcm float32 [samples] at 24 kHz, the sound of its first `depth` layers: as long, and not late."""
        codes = analyse(self._encoder, self._quantiser, np.pad(pcm, (0, self._late)))
        latent = self._quantiser.vectors(codes)[:, :depth].sum(1)
        made: Pcm = self._decoder(latent[None])[0, self._late : self._late + pcm.size].numpy()
        return made
