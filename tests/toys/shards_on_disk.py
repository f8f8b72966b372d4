"""Small WebDataset shards: each sample a picture of its own colour and a caption."""

import io
import tarfile
from pathlib import Path

from PIL import Image


def picture(value: int, side: int = 4) -> bytes:
    """A PNG of one colour, by number."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (value % 256, value // 256 % 256, 7)).save(buffer, "PNG")
    return buffer.getvalue()


def write_shard(file: Path, members: dict[str, bytes]) -> Path:
    """Writes one shard."""
    with tarfile.open(file, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file


def write_shards(folder: Path, counts: list[int]) -> list[Path]:
    """Shards with so many samples each; samples are numbered through."""
    shards, number = [], 0
    for place, count in enumerate(counts):
        members = {}
        for _ in range(count):
            members[f"{number:05d}.png"] = picture(number)
            members[f"{number:05d}.txt"] = f"caption {number}".encode()
            number += 1
        shards.append(write_shard(folder / f"s-{place:03d}.tar", members))
    return shards
