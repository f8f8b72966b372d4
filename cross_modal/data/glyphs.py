"""Glyphs: the built-in sample. Named characters drawn by the faces that matplotlib carries, no download.

Why it is a fair few-shot task: a class is a Unicode character, its pictures are the ways in which different faces
draw it, its text is the character's name ("greek small letter alpha with tonos"). Names are compositional, so a twin
that has learned what "with tonos" looks like can read the name of a character that it never saw.

What keeps it honest:

- byte-equal pictures of a class count once, blank ones not at all, and a class needs six distinct ones;
- classes that share a picture (Latin A and Greek Alpha) form one *set*; a set never straddles two splits, and two
  members of a set never meet in one episode (``episode_set`` below);
- the split of a set is a hash of the set, so that a new class moves no other one.

Sources: DejaVu fonts (Bitstream Vera licence) and STIX fonts (SIL Open Font Licence), both inside matplotlib.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SIZE = 32  # pixels, both ways
EM = 23  # pixels per em: ascender to descender of DejaVu is 1.17 em, which leaves two pixels of air
BASELINE = 24  # row of the baseline: the position of an accent, a comma or a superscript is part of its meaning
LEAST_PICTURES = 6
SPLITS = (("train", 0.60), ("validation", 0.15), ("test", 0.25))


@dataclass(frozen=True)
class Glyphs:
    """All glyph pictures with their classes.

    Attributes:
        pictures: (N, 32, 32) uint8, ink 255 on 0.
        codepoints: (N,) int64, the Unicode code point of each picture: its class.
        faces: (N,) the file stem of the face that drew each picture.
        sets: code point → representative code point of its set of look-alikes.
    """

    pictures: np.ndarray
    codepoints: np.ndarray
    faces: np.ndarray
    sets: dict[int, int]

    @property
    def labels(self) -> list[str]:
        """One label a picture, e.g. ``"U+03AC"``."""
        return [f"U+{codepoint:04X}" for codepoint in self.codepoints]

    @property
    def texts(self) -> list[str]:
        """One text a picture: the lower-case name of its character."""
        return [unicodedata.name(chr(codepoint)).lower() for codepoint in self.codepoints]

    @property
    def splits(self) -> list[str]:
        """One split a picture, by hash of the class's set."""
        of_set = {root: split_of_set(root) for root in set(self.sets.values())}
        return [of_set[self.sets[codepoint]] for codepoint in self.codepoints.tolist()]

    @property
    def episode_sets(self) -> list[str]:
        """One set name a picture: two classes of one set never meet in an episode."""
        return [f"U+{self.sets[codepoint]:04X}" for codepoint in self.codepoints.tolist()]


def split_of_set(root: int) -> str:
    """The split of a set of look-alikes, from a hash of its smallest code point.

    >>> split_of_set(0x41) == split_of_set(0x41)
    True
    """
    digest = hashlib.sha256(f"glyphs-v1|{root:04X}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for name, share in SPLITS:
        if place < share:
            return name
        place -= share
    return SPLITS[-1][0]


def face_files() -> list[Path]:
    """The DejaVu and STIX text faces inside matplotlib, sorted by name."""
    from matplotlib import get_data_path

    folder = Path(get_data_path()) / "fonts" / "ttf"
    names = sorted(folder.glob("DejaVuSans*.ttf")) + sorted(folder.glob("DejaVuSerif*.ttf"))
    # The STIX "Siz" and "NonUni" files hold stretched braces and private-use shapes, not named characters.
    return names + sorted(folder.glob("STIXGeneral*.ttf"))


def draw(face: Path) -> tuple[list[int], np.ndarray]:
    """Draws every named character of one face.

    Args:
        face: A TrueType file.

    Returns:
        The code points and their pictures (N, 32, 32) uint8; blank pictures are left out.
    """
    from matplotlib.ft2font import FT2Font
    from PIL import Image, ImageDraw, ImageFont

    sizes = {em: ImageFont.truetype(str(face), em, layout_engine=ImageFont.Layout.BASIC) for em in (EM, 18, 13)}
    canvas = Image.new("L", (SIZE, SIZE))
    pen = ImageDraw.Draw(canvas)
    codepoints: list[int] = []
    pictures: list[bytes] = []
    for codepoint in sorted(FT2Font(str(face)).get_charmap()):
        character = chr(codepoint)
        if not unicodedata.name(character, ""):
            continue
        for em, font in sizes.items():  # the first size that fits, else the smallest
            left, top, right, bottom = font.getbbox(character, anchor="ms")
            row = round(BASELINE * em / EM + (EM - em) / 2)
            if left >= -SIZE // 2 and right <= SIZE // 2 and top + row >= 0 and bottom + row <= SIZE:
                break
        pen.rectangle((0, 0, SIZE, SIZE), fill=0)
        pen.text((SIZE // 2, row), character, font=font, fill=255, anchor="ms")
        drawn = canvas.tobytes()
        if any(drawn):
            codepoints.append(codepoint)
            pictures.append(drawn)
    return codepoints, np.frombuffer(b"".join(pictures), np.uint8).reshape(-1, SIZE, SIZE)


def look_alikes(digests: list[bytes], codepoints: list[int]) -> dict[int, int]:
    """Joins classes that share a picture.

    Args:
        digests: One picture digest a row.
        codepoints: One class a row.

    Returns:
        Code point → smallest code point of its set (union-find over shared pictures).
    """
    root = {codepoint: codepoint for codepoint in codepoints}

    def find(codepoint: int) -> int:
        while root[codepoint] != codepoint:
            root[codepoint] = root[root[codepoint]]
            codepoint = root[codepoint]
        return codepoint

    owner: dict[bytes, int] = {}
    for digest, codepoint in zip(digests, codepoints, strict=True):
        other = find(owner.setdefault(digest, codepoint))
        mine = find(codepoint)
        root[max(mine, other)] = min(mine, other)
    return {codepoint: find(codepoint) for codepoint in root}


@functools.cache
def render() -> Glyphs:
    """The whole sample: some 30,000 pictures, rendered in under 3 s on one core, mapped from the feature store after.

    Returns:
        The glyphs, in order of code point, then face; one object in the whole process.
    """
    from cross_modal.data.stored_glyphs import stored_glyphs

    return stored_glyphs(render_anew)


def render_anew() -> Glyphs:
    """Renders the whole sample."""
    rows: dict[tuple[int, bytes], tuple[np.ndarray, str]] = {}
    for face in face_files():
        codepoints, pictures = draw(face)
        for codepoint, picture in zip(codepoints, pictures, strict=True):
            rows.setdefault((codepoint, picture.tobytes()), (picture, face.stem))
    count: dict[int, int] = {}
    for codepoint, _ in rows:
        count[codepoint] = count.get(codepoint, 0) + 1
    keys = sorted((key for key in rows if count[key[0]] >= LEAST_PICTURES), key=lambda key: (key[0], rows[key][1]))
    # Look-alikes are sought among *all* drawn characters, so that a class left out today cannot split a set tomorrow.
    everything = list(rows)
    sets = look_alikes([key[1] for key in everything], [key[0] for key in everything])
    kept = {key[0] for key in keys}
    return Glyphs(
        pictures=np.stack([rows[key][0] for key in keys]),
        codepoints=np.array([key[0] for key in keys], np.int64),
        faces=np.array([rows[key][1] for key in keys]),
        sets={codepoint: sets[codepoint] for codepoint in kept},
    )
