"""CUHK03 (Li et al., CVPR 2014) by the new protocol (Zhong et al., CVPR 2017), from pictures as Torchreid unpacks them.

The authors ship one .mat file that holds the pixels. Torchreid writes them out under the names by which the protocol's
split files list them: 1_001_2_07.png is of camera pair 1, its person 1, the pair's camera 2. The split files number the
1,467 people through. `camera` is the number within the pair, as there: nobody is in two pairs.
"""

from __future__ import annotations

import numpy as np

from itkm_core.collections.collection import Collection, Count
from itkm_core.collections.listing import Listing
from itkm_core.collections.shipped import make_rows, pictures_in
from itkm_core.collections.split_files import keep_listed, read_mat
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import join

TITLE = "CUHK03"
BOXES = ("detected", "labeled")
SPLITS = ("train", "query", "gallery")


def read(root: str, scenario: str, variant: str) -> Listing:
    """The pictures of boxes that a detector drew (`detected`), or people (`labeled`).

    Raises:
        CorpusError: the folder or the split file of these boxes or a listed picture is missing, or the split file has
            another form.
    """
    folder = f"images_{variant}"
    listed = read_split(root, f"cuhk03_new_protocol_config_{variant}.mat", folder)
    shipped = pictures_in(root, [folder], TITLE, scenario)
    keep_listed(shipped, listed, root, TITLE)
    parts = [listed[uri] for uri in shipped.uris]
    return make_rows(
        shipped,
        scenario,
        split=[split for split, _, _ in parts],
        person=[person for _, person, _ in parts],
        camera=[camera for _, _, camera in parts],
    )


def read_split(root: str, path: str, folder: str) -> dict[str, tuple[str, int, int]]:
    """(split, person, camera) of every picture of a split file, by its path below `root`.

    Raises:
        CorpusError: the file is missing, or is no split of all its pictures.
    """
    mat = read_mat(root, path, TITLE)
    try:
        names = [str(name[0]) for name in mat["filelist"].ravel()]
        people, cameras = mat["labels"].ravel(), mat["camId"].ravel()
        splits = np.full(len(names), "", dtype="U7")
        for split in SPLITS:
            splits[mat[f"{split}_idx"].ravel().astype(np.int64) - 1] = split
        if (splits == "").any():
            raise ValueError(f"{names[int(np.argmin(splits != ''))]} is in none")
        return {
            f"{folder}/{name}": (str(split), int(person), int(camera))
            for name, split, person, camera in zip(names, splits, people, cameras, strict=True)
        }
    except (KeyError, IndexError, ValueError) as error:
        raise CorpusError(
            f"{join(root, path)} is no split file of {TITLE}'s new protocol ({error}); expected filelist, labels and "
            "camId of every picture, each of which is in one of train_idx, query_idx and gallery_idx"
        ) from error


COLLECTION = Collection(
    name="cuhk03",
    title=TITLE,
    owner="Wei Li, Xiaogang Wang and co-authors, The Chinese University of Hong Kong",
    paper="Li et al., DeepReID: Deep Filter Pairing Neural Network for Person Re-Identification, CVPR 2014; new "
    "protocol: Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding, CVPR 2017",
    licence="its readme points to the regulations of the university, and asks for respect for its students' privacy",
    measures="retrieval across two cameras on a campus, from detected or hand-drawn boxes",
    layout="""\
images_detected/1_001_1_01.png   camera pair, person, camera, picture; or images_labeled: the pixels of cuhk-03.mat, as
    Torchreid writes them
cuhk03_new_protocol_config_detected.mat, or ..._labeled.mat   from the published code of Zhong et al.""",
    expected=(
        Count("train", "train", images=7_365, persons=767, variant="detected"),
        Count("query", "query", images=1_400, persons=700, variant="detected"),
        Count("gallery", "gallery", images=5_332, persons=700, variant="detected"),
        Count("train", "train", images=7_368, persons=767, variant="labeled"),
        Count("query", "query", images=1_400, persons=700, variant="labeled"),
        Count("gallery", "gallery", images=5_328, persons=700, variant="labeled"),
    ),
    sources=(
        "http://www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html",
        "https://github.com/manideep2510/CUHK03_dataset",
        "https://github.com/zhunzhong07/person-re-ranking",
        "https://github.com/KaiyangZhou/deep-person-reid",
    ),
    read=read,
    protocol="market1501",
    variants=BOXES,
)
