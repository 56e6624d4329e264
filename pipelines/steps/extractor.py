"""The actor that turns images into features: it holds the encoder, decodes, encodes and writes."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import reduce
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.corpus.clothes_view import other_clothes, view_keys
from itkm_core.corpus.images import decode_image
from itkm_core.corpus.transforms import to_tensor
from itkm_core.errors import ItkmError, ItkmWarning
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import part_folder
from pipelines.config import RunConfig
from pipelines.imports import uncollected
from pipelines.steps.encoders import EncoderSource, autocast
from pipelines.telemetry.handle import Telemetry
from pipelines.telemetry.meter import Meter

if TYPE_CHECKING:
    import torch

PARTS = ["scenario", "group", "split"]
_CHUNK = 32  # images a decoding thread takes at once, so many that the hand-over costs little


class Extractor:
    """One encoder on one device. Ray Data makes one per actor and hands it blocks of images.

    It also writes the features to the run folder: a separate writing stage would start processes that cost
    more than the whole extraction of a small corpus, and move every feature once more.
    """

    def __init__(
        self,
        source: EncoderSource,
        scenarios: Sequence[str],
        config: RunConfig,
        threads: int,
        telemetry: Telemetry,
        out: Place,
        clothes: frozenset[tuple[str, int]] = frozenset(),
        round: int = 0,
    ) -> None:
        """clothes: blocks that are views in other clothes (`clothes_view`); round: which of them."""
        with uncollected():
            import open_clip  # noqa: F401 - of which `source.load` makes the encoder
            import torch

            from itkm_core.model.image_encoder import UNKNOWN_SCENARIO

        torch.set_num_threads(threads)
        self.name = uuid4().hex
        self.decoders = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.fault = self.note = ""
        try:
            with warnings.catch_warnings(record=True, category=ItkmWarning) as caught:
                warnings.simplefilter("always", ItkmWarning)
                self.encoder, self.info = source.load(device=self.device)
            self.note = "; ".join(str(each.message) for each in caught)
            self.autocast = autocast(config.extract_precision, self.device)
        except ItkmError as error:
            # If raised, it would be tried again and come out as an error of Ray Data's.
            self.fault = str(error)
            return
        self.encoder.eval()
        self.batch = config.compute.extract_batch
        self.clothes, self.seed, self.round = clothes, config.seed, round
        # A checkpoint keeps the scenarios it was trained on; it does not know the corpus' other ones.
        known = {name: row for row, name in enumerate(self.info.scenarios)}
        self.row_of = {name: known.get(name, UNKNOWN_SCENARIO) for name in scenarios}
        self.meter = Meter(telemetry)
        self.out = out

    def __call__(self, block: pa.Table) -> pa.Table:
        """Encode a block and write its features. Returns one row: which encoder, when it was done, how many
        images, which files, a note for the user on the weights, and a fault, after which it encodes nothing more.
        """
        if self.fault:
            return self._row(0, [])
        try:
            return self._row(block.num_rows, self._written(block))
        except ItkmError as error:  # raised here, it would come out as one of Ray Data's
            self.fault = str(error)
            return self._row(0, [])

    def _written(self, block: pa.Table) -> list[str]:
        """Encode a block and write its features. Returns the files, below `out`."""
        features = np.concatenate(list(self.encode(block)))
        table = pa.table(
            {
                "sample_id": block["sample_id"],
                "feature": pa.FixedSizeListArray.from_arrays(features.ravel(), features.shape[1]),
            }
        )
        keys, files = block.select(PARTS), []
        for key in keys.group_by(PARTS).aggregate([]).to_pylist():
            mine = reduce(pc.and_, (pc.equal(keys[name], value) for name, value in key.items()))
            rows = table.filter(mine)
            # A task that runs again because its node was lost writes the same files again.
            name = f"from-{rows['sample_id'][0].as_py():012d}.parquet"
            folder = part_folder(Block(key["scenario"], key["group"]), key["split"])
            files.append(f"{folder}/{name}")
            (self.out / files[-1]).write_table(rows)
        return files

    def _row(self, images: int, files: list[str]) -> pa.Table:
        return pa.table(
            {
                "encoder": [self.name],
                "ended": [time.time()],
                "images": [images],
                "files": pa.array([files], pa.list_(pa.string())),
                "fault": [self.fault],
                "note": [self.note],
            }
        )

    def encode(self, block: pa.Table) -> Iterator[np.ndarray]:
        """Features [b, D] float32 of the block's images, batch by batch."""
        import torch

        batches = [block.slice(start, self.batch) for start in range(0, block.num_rows, self.batch)]
        for batch, pixels in zip(batches, self._decoded(batches), strict=True):
            groups = torch.from_numpy(batch["group"].to_numpy().astype(np.int64))
            rows = torch.tensor([self.row_of[name] for name in batch["scenario"].to_pylist()])
            with torch.inference_mode(), self.autocast:
                features = self.encoder(pixels, groups, rows)
            yield features.float().cpu().numpy()
            self.meter.add(len(batch))

    def _decoded(self, batches: Sequence[pa.Table]) -> Iterator[torch.Tensor]:
        """[b, 3, H, W] of each batch, on the device; while a GPU encodes one, the next is decoded.

        On a CPU the encoder wants all threads itself, so nothing is decoded meanwhile.
        """
        ahead = 2 if self.device.type == "cuda" else 1
        pending: deque[list[Future[np.ndarray]]] = deque()
        for batch in [*batches, *[None] * (ahead - 1)]:
            if batch is not None:
                chunks = [batch.slice(at, _CHUNK) for at in range(0, len(batch), _CHUNK)]
                pending.append([self.decoders.submit(self._pixels, chunk) for chunk in chunks])
            if len(pending) == ahead or (batch is None and pending):
                pixels = np.concatenate([part.result() for part in pending.popleft()])
                yield to_tensor(pixels, self.info.mean, self.info.std, self.device)

    def _pixels(self, rows: pa.Table) -> np.ndarray:
        """uint8 [b, H, W, 3], in other clothes where the block is."""
        size = self.encoder.image_size
        pixels = np.stack([decode_image(image.as_buffer(), size) for image in rows["image"]])
        if self.clothes:
            blocks = zip(rows["scenario"].to_pylist(), rows["group"].to_pylist(), strict=True)
            viewed = np.array([block in self.clothes for block in blocks])
            keys = view_keys(self.seed, self.round, rows["sample_id"].to_numpy()[viewed])
            pixels[viewed] = other_clothes(pixels[viewed], keys)
        return pixels
