"""QR codes, as SVG inside a page: the content security policy of pages allows no image from elsewhere."""

import segno

from kiteward.domain.identity import Secret


def qr_code(text: Secret) -> str:
    """Return the SVG element of a QR code; revealed because the code is what a camera reads.

    It consists of attributes and one path, without any character of the text.
    """
    return segno.make(text.reveal(), error="m", micro=False).svg_inline(scale=5, dark="#000", light="#fff")
