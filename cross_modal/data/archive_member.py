"""A picture inside an archive, known by where it lies: it is read when it is decoded, and never kept.

So a table of millions of pictures in shards takes the memory of its rows, whatever the pictures weigh.
"""

from __future__ import annotations

from dataclasses import dataclass

from cross_modal.errors import CrossModalError


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """Some bytes of an uncompressed archive.

    Attributes:
        archive: Path of the archive; members of one archive share the string.
        name: Name of the member, for messages.
        offset: Where its content starts, in bytes.
        size: Its length in bytes.
    """

    archive: str
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.archive}: member '{self.name}'"

    def read(self) -> bytes:
        """The content.

        Raises:
            CrossModalError: Where the archive cannot be read, or was cut since it was listed.
        """
        try:
            with open(self.archive, "rb", buffering=0) as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            raise CrossModalError(f"{self}: expected a readable archive, found: {error.strerror}") from None
        if len(content) != self.size:
            raise CrossModalError(
                f"{self}: expected {self.size} bytes as when it was listed, found {len(content)}: the archive changed"
            )
        return content
