"""Scales down a result's figure, so that Dagster can store it with an event."""

import base64
import io

from PIL import Image

_THUMBNAIL_PIXELS = ((900, 600), (450, 300), (300, 200))
_THUMBNAIL_BYTES = 75_000  # about 100 KB as a data URI


def thumbnail(figure: bytes) -> str:
    """Return a figure as Markdown with a data URI; small, because Dagster stores it with the event.

    For a file that is not an image, return a message: the result is published, and its display must not fail the run.
    """
    try:
        with Image.open(io.BytesIO(figure)) as image:
            fits = len(figure) <= _THUMBNAIL_BYTES and image.format == "PNG"
            kind, content = ("png", figure) if fits else ("jpeg", _small_jpeg(image))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"The figure cannot be shown here ({type(error).__name__}); it is among the result's files."
    return f"![figure](data:image/{kind};base64,{base64.b64encode(content).decode()})"


def _small_jpeg(image: Image.Image) -> bytes:
    """Scale an image down, on a white background, until it is small enough."""
    content = b""
    for size in _THUMBNAIL_PIXELS:
        small = image.convert("RGBA")
        small.thumbnail(size)
        flat = Image.new("RGB", small.size, "white")
        flat.paste(small, mask=small.getchannel("A"))
        buffer = io.BytesIO()
        flat.save(buffer, "JPEG", quality=70, optimize=True)
        content = buffer.getvalue()
        if len(content) <= _THUMBNAIL_BYTES:
            break
    return content
