"""Small PDFs, written by hand: pages of lines, each with its size."""

from collections.abc import Sequence


def a_pdf(pages: Sequence[Sequence[tuple[float, str]]]) -> bytes:
    """Each page is its lines, from the top: size in points and text (ASCII)."""
    first = 4  # of the pages' objects; 1 to 3 are catalog, pages and font
    kids = " ".join(f"{first + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, lines in enumerate(pages):
        page = f"/MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents {first + 2 * n + 1} 0 R"
        objects.append(f"<< /Type /Page /Parent 2 0 R {page} >>".encode())
        shown = "\n".join(
            f"BT /F1 {size} Tf 72 {740 - 24 * line} Td ({text}) Tj ET" for line, (size, text) in enumerate(lines)
        ).encode()
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(shown), shown))
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        size,
        table,
        size,
        len(out),
    )
